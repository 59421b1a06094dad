"""Route with two exams: the shipped one, and one of our own about SQL and the schema of our shop.

What `exam build --from`, `exam run` or `exam grade`, and `zoo add` do on the command line, in Python.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from modelsat import Candidate, ModelZoo, Router
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.own_exam import own_exam, read_items
from modelsat.capability.profile import join_exams
from modelsat.types import Outcome

FOLDER = Path(__file__).parent

items = read_items(FOLDER / "items.jsonl", exam="shop-sql")
exam = own_exam(items, name="shop-sql")
# The texts rarely say what the whole exam is about. Keywords are ours to edit: cards stay valid.
exam = exam.with_keywords({task.name: ("SQL", *task.keywords[:4]) for task in exam.tasks})
for task in exam.tasks:
    print(f"{task.name}: {', '.join(task.keywords)}")


def outcomes() -> Iterator[Outcome]:
    """Who got which item right."""
    with (FOLDER / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            item = items[int(row["item"]) - 1]
            yield Outcome(candidate=row["model"], instruction_id=item.id, score=float(row["correct"]))


own = {card.candidate: card for card in grade(exam_table(items, list(outcomes()), exam), exam)}

# Our fine-tuned 7B sat the shipped exam like the model that it was made from.
shipped = ModelZoo.shipped()
large, base = "Meta-Llama-3.1-70B-Instruct", "Mistral-7B-Instruct-v0.2"
zoo = ModelZoo()
zoo.add(shipped[large], join_exams([shipped.profile(large), own[large]]))
zoo.add(Candidate(name="our-sql-7b"), join_exams([shipped.profile(base), own["our-sql-7b"]]))

router = Router.load(zoo=zoo)
for text in (
    "Which of our tables says when an order was placed?",
    "Compute a running total of sales per customer.",
    "A spring of stiffness 200 N/m is stretched by 5 cm. How much energy does it store?",
):
    decision = router.route(text)
    print(f"\n{text}")
    print(", ".join(f"{ranked.candidate} {ranked.probability:.2f}" for ranked in decision.ranking))
    for reason in decision.reasons[1:]:
        print(f"  - {reason}")
