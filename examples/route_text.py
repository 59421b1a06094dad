"""Route a text with the shipped router, by quality and by price."""

from modelsat import Router

router = Router.load()
text = "A spring of stiffness 200 N/m is stretched by 5 cm. How much energy does it store?"

for policy in ("best", "cheapest-above=0.6"):
    decision = router.route(text, policy=policy)
    print(f"{policy}: {decision.candidate}, P(right) {decision.probability:.2f}")
    for reason in decision.reasons:
        print(f"  - {reason}")
