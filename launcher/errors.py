"""The launcher's one exception."""


class LauncherError(Exception):
    """Something the person at the keyboard can act on.

    The message says what was attempted, what happened and what to do next. `run.py` prints it without a traceback.
    """
