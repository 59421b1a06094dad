"""The aptitude test on live endpoints: ask every item, grade the answers, write a capability card."""
