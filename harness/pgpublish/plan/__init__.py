"""From a view to its feed: how a write to each table that the view reads finds the keys it changes.

reading         the view's query, flattened to tables and the equalities between their columns
proving         the key: columns of the view that no two of its rows share
paths           from a row of a table to the keys it may change
captures        these paths as arguments of publish_capture
plan            all of it as data, and what differs from what is defined
printing        the plan for people
applying        the plan as one transaction
contradictions  captures by hand that the joins of the view contradict
mutating        random writes that are rolled back: did capture see each key that changed?

It never guesses: what it cannot derive is a reason to refuse, with what to write instead.
"""
