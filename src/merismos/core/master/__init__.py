"""The master's machine: who is there, what is offered to whom, what runs where."""
