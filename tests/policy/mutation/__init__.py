"""What becomes of the shipped policies when something in them is wrong: refused in the right line, or failed by a test.

``tree`` knows where everything stands in a file, ``places`` what a place means, ``operators`` what can be wrong there,
``equivalent`` what makes no difference, ``run`` who catches it. ``python -m tests.policy.mutation`` prints the table.
"""
