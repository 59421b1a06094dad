"""Make a capability card from a CSV of one's own results, and route to the new candidate at once."""

from pathlib import Path

from modelsat import Candidate, CapabilityProfile, ModelZoo, Router, TaskResult
from modelsat.capability.keywords import task_keywords
from modelsat.records.importers import csv_rows, import_rows

NAME = "our-model"

results = import_rows(
    csv_rows(Path(__file__).with_name("own_results.csv")),
    columns={"text": "question", "task": "topic", "score": "correct"},
    constants={"candidate": NAME, "dataset": "support"},
)
score = {outcome.instruction_id: outcome.score for outcome in results.outcomes}
questions: dict[str, list[str]] = {}
scores: dict[str, list[float]] = {}
for instruction in results.instructions:
    questions.setdefault(instruction.task, []).append(instruction.text)
    scores.setdefault(instruction.task, []).append(score[instruction.id])

# Our own questions are another exam than the router was tuned with: its tasks are known by their keywords.
keywords = task_keywords(questions)
card = CapabilityProfile(
    candidate=NAME,
    exam="support",
    exam_hash="",
    results=tuple(
        TaskResult(
            task=task,
            keywords=keywords[task],
            accuracy=sum(solved) / len(solved),
            shots=len(solved),
        )
        for task, solved in scores.items()
    ),
)
for result in card.results:
    print(f"{result.task}: {result.accuracy:.0%} of {result.shots} ({', '.join(result.keywords)})")

zoo = ModelZoo.shipped().select(["Meta-Llama-3.1-8B-Instruct", "Mistral-7B-Instruct-v0.2"])
zoo.add(Candidate(name=NAME, output_price=0.1), card)
router = Router.load(zoo=zoo)
for text in ("May a customer return a lamp after three weeks?", "Why is my SQL join so slow?"):
    ranking = router.route(text).ranking
    print(text, ", ".join(f"{ranked.candidate} {ranked.probability:.2f}" for ranked in ranking))
