"""What can go wrong, and what a page is told of it."""


class AnnotationError(ValueError):
    """A wrong argument, file or request; the text says what is expected.

    Attributes:
        status (int): Of HTTP.
    """

    status = 422


class NotFound(AnnotationError):
    """There is no such pair, image, tile or job."""

    status = 404


class Conflict(AnnotationError):
    """What is asked for does not fit what is there.

    Args:
        text (str): What and why.
        details (dict): Said beside the text, e.g. the present version.
    """

    status = 409

    def __init__(self, text: str, **details):
        super().__init__(text)
        self.details = details


class Locked(Conflict):
    """Another window has the pair."""

    status = 423
