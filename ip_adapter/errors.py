"""What can go wrong, by name. Every message says what was expected, what was given and what to do."""


class AdapterError(ValueError):
    """Base of all errors this pack raises for input it cannot use."""


class AdapterFileError(AdapterError):
    """The file is missing, unreadable, or damaged."""


class NotAnAdapterError(AdapterError):
    """The file is sound, but it is something else; the message says what, and where it belongs.

    `kind` and `base` name a known relative in short, for listings; both are None for an unknown file.
    """

    def __init__(self, message: str, kind: str | None = None, base: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.base = base


class WrongBaseError(AdapterError):
    """The adapter was trained for another base model than the one connected."""


class WrongEncoderError(AdapterError):
    """The image prompt was encoded by another encoder than the adapter was trained with."""


class WrongPromptError(AdapterError):
    """The adapter reads another kind of prompt than the one connected; the message names the node to use."""


class PictureError(AdapterError):
    """A picture or mask that cannot be encoded."""


class SettingError(AdapterError):
    """A number or a choice outside of what makes sense."""


class FaceError(AdapterError):
    """No usable face, or something that finds, recognises or holds faces that cannot be used."""


class TrainingError(AdapterError):
    """The training cannot start or go on; the message says what is kept and how to continue."""
