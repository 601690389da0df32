"""Anomalies put into words, after the money has moved. The policy flags; nothing here decides anything.

stream record -> brief -> (the model | the rules) -> answer -> stored on the entry -> told on the bus

brief.py     [pure] what the model gets: the facts and figures, as data that cannot speak up
answer.py    [pure] what it may say: a strict schema, checked and escaped
fallback.py  [pure] what is said without it, composed from the same figures
model.py     [edge] the model's endpoint, with bounds on time and size
secret.py    [edge] its key, cached, and read again when it was changed
budget.py    [edge] how often it may be asked in any hour, by all containers together
shelf.py     [edge] where explanations are stored, and what is usual is read
bus.py       [edge] where they are told
run.py       [run]  one batch: never raises, never leaves a flagged entry without words
function.py  [run]  the Lambda function: built once per container
"""

from engine.anomalies.explain.answer import Explanation
from engine.anomalies.explain.run import Explainer

__all__ = ["Explainer", "Explanation"]
