"""Writes Python values as libconfig text."""

_INT32_MAX = 2**31 - 1


def _string(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > _INT32_MAX else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + " ".join(_setting(*item) for item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        items = ", ".join(_value(item) for item in value)
        return f"( {items} )" if any(isinstance(item, dict) for item in value) else f"[ {items} ]"
    return _string(str(value))


def _setting(name, value):
    return f"{name} = {_value(value)};"


def dumps(settings):
    return "".join(_setting(*item) + "\n" for item in settings.items())
