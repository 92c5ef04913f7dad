"""A store that does not answer, as its client tells it."""


class Busy(Exception):
    """As clients of object stores raise for a 403, a 429 or a 5xx: no OSError, and with a code that is HTTP's."""

    code = 503
