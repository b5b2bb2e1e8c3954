"""The one exception that reaches the user as a sentence."""

from __future__ import annotations


class HnError(Exception):
    """Something the user can put right.

    Its message is one sentence that says what is wrong and what to do. The command line prints it and exits
    with code 2; nothing else is printed and no traceback is shown.
    """
