"""What users write into options, files and the environment: whether it is one line of text."""

import unicodedata

# Control characters; bytes that are no UTF-8, which Python reads as halves of characters; ends of
# lines and paragraphs.
_NEVER = ("Cc", "Cs", "Zl", "Zp")


def is_one_line(text: str) -> bool:
    r"""Whether no character of it breaks a line, ends a file's name, or cannot be shown.

    >>> is_one_line("Fotos von 2024"), is_one_line("x.db\r"), is_one_line("a\0b")
    (True, False, False)
    """
    return not any(unicodedata.category(character) in _NEVER for character in text)


def on_one_line(text: str) -> str:
    r"""The text with what would break its line escaped, as Python writes it.

    >>> print(on_one_line("a\nb"))
    a\nb
    """
    return "".join(
        character if is_one_line(character) else character.encode("unicode_escape").decode()
        for character in text
    )
