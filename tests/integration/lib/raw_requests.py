"""Requests byte by byte, and what becomes of each: the table of test_edge_requests.py.

A row is (name, bytes, expected). expected is the status of the response; the connection ends with
it where it is in CLOSING, and is kept otherwise. HOST stands for the listener's authority, SCHEME
for its scheme.
"""

HOST = b"{HOST}"


BODY = b'{"images":{"0":"AAAA"},"target":"a cat","method":"hcaptcha_base64",' \
       b'"site":"elsewhere.example","sitekey":"x"}'
NOT_ALLOWED = 403  # what BODY gets: a whole request, whose site is not listed

STATUS = b"/status?id=h-none"


def get(target=STATUS, version=b"HTTP/1.1", fields=b"", host=b"Host: " + HOST + b"\r\n",
        method=b"GET"):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


def post(fields=b"", body=BODY, length=None, content_type=b"Content-Type: application/json\r\n"):
    if length is None:
        length = b"Content-Length: %d\r\n" % len(body)
    return (b"POST /solve HTTP/1.1\r\nHost: " + HOST + b"\r\n" + content_type + length + fields +
            b"\r\n" + body)


def chunked(body=BODY, fields=b"", coding=b"Transfer-Encoding: chunked\r\n"):
    """Takes the encoded body."""
    return post(fields, body, coding)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


WHOLE = chunk(BODY) + b"0\r\n\r\n"


def _targets():
    """Controls, UTF-8 and forms of the target."""
    for byte in [0x00, 0x01, 0x08, 0x09, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f]:
        yield f"control {byte:02x} in the path", get(b"/sta" + bytes([byte]) + b"tus"), 400
        yield f"control {byte:02x} in the query", get(STATUS + bytes([byte])), 400
    for code in ["00", "01", "09", "0a", "0A", "0d", "1f", "7f", "7F"]:
        yield f"%{code} in the path", get(b"/status%" + code.encode()), 400
        yield f"%{code} in the query", get(STATUS + b"%" + code.encode()), 400
        yield f"%{code} in a name of the query", get(b"/status?i%" + code.encode() + b"=1"), 400
    for name, text in [
            ("a lone continuation", b"\x80"), ("an overlong slash", b"\xc0\xaf"),
            ("an overlong NUL", b"\xc0\x80"), ("a surrogate", b"\xed\xa0\x80"),
            ("beyond Unicode", b"\xf4\x90\x80\x80"), ("a sequence cut short", b"\xe2\x82"),
            ("a byte that is never UTF-8", b"\xff"), ("a C1 control", b"\xc2\x85"),
            ("an overlong of three bytes", b"\xe0\x80\xaf")]:
        encoded = b"".join(b"%%%02X" % byte for byte in text)
        yield f"{name}, as it is", get(STATUS + text), 400
        yield f"{name}, encoded", get(STATUS + encoded), 400
    yield "a sequence cut by a separator", get(b"/status?id=%C3&%A9"), 400
    yield "a sequence half encoded", get(STATUS + b"\xc3%A9"), 404
    yield "UTF-8 as it is", get(STATUS + "é€😀".encode()), 404
    yield "UTF-8 encoded", get(STATUS + b"%C3%A9%E2%82%AC%F0%9F%98%80"), 404
    yield "a space encoded", get(STATUS + b"%20"), 404
    yield "a lone percent", get(STATUS + b"%"), 400
    yield "one digit of an encoding", get(STATUS + b"%4"), 400
    yield "no digits of an encoding", get(STATUS + b"%zz"), 400
    yield "an encoding of %u", get(STATUS + b"%u0041"), 400
    yield "a space in the target", get(b"/status?id=h none"), 400
    yield "asterisk-form", get(b"*"), 400
    yield "asterisk-form of OPTIONS", get(b"*", method=b"OPTIONS"), 400
    yield "authority-form", get(b"127.0.0.1:80", method=b"CONNECT"), 400
    yield "authority-form of GET", get(b"localhost:80"), 400
    yield "a path without a slash", get(b"status?id=x"), 400
    yield "no target", get(b""), 400
    yield "another scheme", get(b"ftp://" + HOST + STATUS), 400
    yield "a scheme alone", get(b"{SCHEME}://"), 400
    yield "a scheme with one slash", get(b"{SCHEME}:/" + HOST + STATUS), 400
    yield "250 arguments", get(STATUS + b"&abc=1" * 250), 414
    yield "64 arguments", get(STATUS + b"&a=1" * 63), 404
    yield "65 arguments", get(STATUS + b"&a=1" * 64), 414
    yield "a target of 9,000 bytes", get(STATUS + b"x" * 9000), 414


def _absolute():
    yield "absolute-form", get(b"{SCHEME}://" + HOST + STATUS), 404
    yield "absolute-form, scheme in upper case", get(b"{UPPER_SCHEME}://" + HOST + STATUS), 404
    yield "absolute-form of localhost", get(b"{SCHEME}://localhost" + STATUS), 404
    yield ("absolute-form wins over Host",
           get(b"{SCHEME}://" + HOST + STATUS, host=b"Host: elsewhere.example\r\n"), 404)
    yield ("absolute-form of another host",
           get(b"{SCHEME}://elsewhere.example" + STATUS), 403)
    yield "absolute-form with a user", get(b"{SCHEME}://user@" + HOST + STATUS), 400
    yield "absolute-form without a host", get(b"{SCHEME}:///status?id=x"), 400
    yield "absolute-form with a bad port", get(b"{SCHEME}://localhost:port" + STATUS), 400
    yield "absolute-form without Host", get(b"{SCHEME}://" + HOST + STATUS, host=b""), 400
    yield ("absolute-form with a bad Host",
           get(b"{SCHEME}://" + HOST + STATUS, host=b"Host: a b\r\n"), 400)
    yield "absolute-form of the root", get(b"{SCHEME}://" + HOST), 404
    yield ("a POST in absolute-form",
           post().replace(b" /solve ", b" {SCHEME}://" + HOST + b"/solve "), NOT_ALLOWED)


def _request_lines():
    yield "HTTP/1.0", get(version=b"HTTP/1.0"), "404 last"
    yield "HTTP/1.0 without Host", get(version=b"HTTP/1.0", host=b""), "404 last"
    yield "HTTP/1.0 that is kept", get(version=b"HTTP/1.0",
                                       fields=b"Connection: keep-alive\r\n"), 404
    yield "HTTP/1.2", get(version=b"HTTP/1.2"), 404
    yield "HTTP/1.2 without Host", get(version=b"HTTP/1.2", host=b""), 400
    for version in [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.1"]:
        yield version.decode(), get(version=version), 505
    for version in [b"HTTP/1", b"HTTP/11", b"HTTP/1.10", b"HTTP/1.", b"http/1.1", b"HTTPS/1.1",
                    b"HTTP /1.1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.x", b"", b"\x00"]:
        yield f"version {version!r}", get(version=version), 400
    yield "HTTP/0.9, a bare target", b"GET /status\r\n\r\n", 400
    yield "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505
    yield "a ClientHello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400
    yield "a line of text", b"hello\r\n\r\n", 400
    yield "a method with a colon", get(method=b"GE:T"), 400
    yield "a method with a NUL", get(method=b"GE\x00T"), 400
    yield "a method that is too long", get(method=b"G" * 100), 400
    yield "an unknown method", get(method=b"BREW"), 405
    yield "a method in lower case", get(method=b"get"), 405
    yield "a tab after the method", get().replace(b"GET ", b"GET\t", 1), 400
    yield "two spaces after the method", get().replace(b"GET ", b"GET  ", 1), 400
    yield "a space before the method", b" " + get(), 400
    yield "a NUL before the method", b"\x00" + get(), 400
    yield "a line of NUL before the method", b"\x00\n" + get(), 400
    yield "a line of NUL and CR LF before the method", b"\x00x\r\n" + get(), 400
    yield "a blank line before", b"\r\n" + get(), 404
    yield "three blank lines before", b"\r\n\r\n\r\n" + get(), 404
    yield "2,000 blank lines before", b"\r\n" * 2000 + get(), 404
    yield "5,000 blank lines before", b"\r\n" * 5000 + get(), 414
    for argument in [b"a", b"a=b", b"a=b&c", b"a=b&c="]:
        for size, expected in [(4000, "404 last"), (6700, 414), (8100, 414)]:
            target = b"/" + b"x" * size + b"?" + argument
            yield (f"{size} bytes without a field, ?{argument.decode()}",
                   get(target, b"HTTP/1.0", host=b""), expected)
            yield (f"{size} bytes with a field, ?{argument.decode()}",
                   get(target, b"HTTP/1.0", host=b"A:\r\n"), "404 last")
    yield "8,100 bytes without a field", get(b"/" + b"x" * 8100, b"HTTP/1.0", host=b""), "404 last"
    yield "a blank line of LF before", b"\n" + get(), 400
    yield "a CR before", b"\r" + get(), 400
    yield "a CR in the request line", get().replace(b" HTTP", b"\r HTTP", 1), 400
    yield "LF at the end of the request line", get().replace(b"1.1\r\n", b"1.1\n", 1), 400
    yield "LF at the end of every line", get().replace(b"\r\n", b"\n"), 400


def _fields():
    yield "an empty name first", get(host=b": x\r\nHost: " + HOST + b"\r\n"), 400
    yield "an empty name last", get(fields=b": x\r\n"), 400
    yield "an empty name and value", get(fields=b":\r\n"), 400
    yield "an empty name, LF", get(fields=b":\n"), 400
    yield "a line of NUL, LF", get(fields=b"\x00\n"), 400
    yield "a line of NUL, CR LF", get(fields=b"\x00\r\n"), 400
    yield "a line of CR CR LF", get(fields=b"\r\r\n"), 400
    yield "a space before the colon", get(fields=b"X-Name : x\r\n"), 400
    yield "a tab before the colon", get(fields=b"X-Name\t: x\r\n"), 400
    yield "a space in a name", get(fields=b"X Name: x\r\n"), 400
    yield "a space before Host's colon", get(host=b"Host : " + HOST + b"\r\n"), 400
    yield "a line without a colon", get(fields=b"X-Name\r\n"), 400
    yield "a second request line as a field", get(fields=b"GET /usage HTTP/1.1\r\n"), 400
    for byte in [0x00, 0x01, 0x08, 0x0b, 0x0c, 0x0d, 0x1f, 0x7f]:
        yield (f"byte {byte:02x} in a value",
               get(fields=b"X-Name: a" + bytes([byte]) + b"b\r\n"), 400)
        yield f"byte {byte:02x} in a name", get(fields=b"X-Na" + bytes([byte]) + b"me: b\r\n"), 400
        yield f"byte {byte:02x} at a value's end", get(fields=b"X-Name: a" + bytes([byte]) +
                                                       b"\r\n"), 400
    yield "LF in a value", get(fields=b"X-Name: a\nX-Other: b\r\n"), 400
    yield "NUL and LF at a value's end", get(fields=b"X-Name: a\x00\n"), 400
    yield "a folded value", get(fields=b"X-Name: a\r\n b\r\n"), 400
    yield "a value folded with a tab", get(fields=b"X-Name: a\r\n\tb\r\n"), 400
    yield "a folded Content-Length", post(length=b"Content-Length: 1\r\n 0\r\n"), 400
    yield "a folded first line", get(host=b" x\r\nHost: " + HOST + b"\r\n"), 400
    yield "a name beyond ASCII", get(fields="X-Näme: a\r\n".encode()), 400
    yield "a value beyond ASCII", get(fields="X-Name: ä\r\n".encode()), 404
    yield "a tab in a value", get(fields=b"X-Name: a\tb\r\n"), 404
    yield "an empty value", get(fields=b"X-Name:\r\n"), 404
    yield "no space after the colon", get(host=b"Host:" + HOST + b"\r\n"), 404
    yield "many spaces after the colon", get(host=b"Host: \t  " + HOST + b"\r\n"), 404
    for space in [b" ", b"\t", b" \t  ", b" " * 3000]:
        after = f"{len(space)} bytes of white space ({space[:4]!r}) after"
        yield f"{after} Host", get(host=b"Host: " + HOST + space + b"\r\n"), 404
        yield f"{after} another value", get(fields=b"X-Name: a" + space + b"\r\n"), 404
        yield (f"{after} Content-Type",
               post(content_type=b"Content-Type: application/json" + space + b"\r\n"), NOT_ALLOWED)
        yield (f"{after} Content-Encoding", post(b"Content-Encoding: identity" + space + b"\r\n"),
               NOT_ALLOWED)
        yield (f"{after} Expect", get(fields=b"Expect: 100-continue" + space + b"\r\n"), "404 last")
    yield "white space in Host", get(host=b"Host: local   host\r\n"), 400
    yield "white space in and after a value", get(fields=b"X-Name: a  b \t c  \r\n"), 404
    yield "a name of odd characters", get(fields=b"!#$%&'*+-.^_`|~9z: x\r\n"), 404


def _twice():
    for name, value in [(b"Host", HOST), (b"apikey", b"k"), (b"Authorization", b"Bearer k"),
                        (b"Content-Type", b"application/json"), (b"Idempotency-Key", b"k")]:
        line = name + b": " + value + b"\r\n"
        other = name.swapcase() + b": other\r\n"
        before = b"" if name == b"Host" else line
        yield f"{name.decode()} twice", get(fields=before + line), 400
        yield f"{name.decode()} twice, differing", get(fields=before + other), 400
    yield "a field that may be there twice", get(fields=b"X-Name: a\r\nX-Name: b\r\n"), 404
    yield "no Host", get(host=b""), 400
    yield "an empty Host", get(host=b"Host:\r\n"), 400
    yield "a Host of two names", get(host=b"Host: localhost, localhost\r\n"), 400
    yield "a Host with a path", get(host=b"Host: localhost/x\r\n"), 400
    yield "a foreign Host", get(host=b"Host: elsewhere.example\r\n"), 403


def _lengths():
    n = b"%d" % len(BODY)
    yield "a whole POST", post(), NOT_ALLOWED
    yield "Content-Length with zeros in front", post(length=b"Content-Length: 00" + n + b"\r\n"), \
        NOT_ALLOWED
    for value in [b"", b" ", b"+" + n, b"-1", b"0x10", n + b".0", n + b",", n + b", " + n, n + b" ",
                  n + b"\t", n + b"a", b"a", b"1e3", b"1 0", n + b";x", b"\xd9\xa1"]:
        yield f"Content-Length {value!r}", post(length=b"Content-Length: " + value + b"\r\n"), 400
    for value in [b"9" * 18, b"9" * 19, b"18446744073709551616", b"9" * 30]:
        yield f"Content-Length {value.decode()}", \
            post(length=b"Content-Length: " + value + b"\r\n", body=b""), 413
    length = b"Content-Length: " + n + b"\r\n"
    yield "Content-Length twice, the same", post(length=length * 2), 400
    yield "Content-Length twice, differing", post(length=b"Content-Length: 5\r\n" + length), 400
    yield "Content-Length twice, in other case", post(length=length + length.upper()), 400
    yield "Content-Length before chunked", post(fields=b"Transfer-Encoding: chunked\r\n"), 400
    yield "Content-Length after chunked", chunked(WHOLE, b"Content-Length: 3\r\n"), 400
    yield "a GET that waits for 100", get(fields=b"Expect: 100-continue\r\n"), "404 last"
    yield ("a GET with an empty body that waits for 100",
           get(fields=b"Expect: 100-continue\r\nContent-Length: 0\r\n"), "404 last")
    yield "a Content-Length in a GET", get(fields=b"Content-Length: 0\r\n"), 404


def _codings():
    yield "a chunked POST", chunked(WHOLE), NOT_ALLOWED
    yield "chunked in upper case", chunked(WHOLE, coding=b"TRANSFER-ENCODING: CHUNKED\r\n"), \
        NOT_ALLOWED
    for value in [b"gzip", b"identity", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked",
                  b"chunked,", b", chunked", b"chunked;q=1", b"xchunked", b"chunke", b"chunked ",
                  b"chunked\t", b"", b"\x0bchunked", b"chunked\x00", b'"chunked"']:
        yield f"Transfer-Encoding {value!r}", \
            chunked(WHOLE, coding=b"Transfer-Encoding: " + value + b"\r\n"), 400
    yield "Transfer-Encoding twice", chunked(WHOLE, b"Transfer-Encoding: chunked\r\n"), 400
    yield "two Transfer-Encodings", chunked(WHOLE, b"Transfer-Encoding: gzip\r\n"), 400
    yield "chunked in HTTP/1.0", chunked(WHOLE).replace(b"HTTP/1.1", b"HTTP/1.0"), 400


def _chunks():
    yield "many chunks", chunked(b"".join(chunk(BODY[i:i + 1]) for i in range(len(BODY))) +
                                 b"0\r\n\r\n"), NOT_ALLOWED
    yield "a chunk extension", chunked(WHOLE.replace(b"\r\n", b";name=value\r\n", 1)), NOT_ALLOWED
    yield "chunk sizes with zeros", chunked(b"000" + chunk(BODY) + b"0000\r\n\r\n"), NOT_ALLOWED
    yield "a trailer", chunked(WHOLE[:-2] + b"X-Name: value\r\n\r\n"), NOT_ALLOWED
    for name, body in [
            ("no size", b"\r\n" + WHOLE), ("a size that is not a number", b"x" + WHOLE),
            ("a size with a sign", b"+" + WHOLE), ("a size with 0x", b"0x" + WHOLE),
            ("a size with a space", WHOLE.replace(b"\r\n", b" \r\n", 1)),
            ("a size that is too large", b"f" * 16 + b"\r\n"),
            ("a size of 17 digits", b"0" * 17 + b"\r\n"),
            ("an extension without a semicolon", WHOLE.replace(b"\r\n", b" x\r\n", 1)),
            ("an extension with a control", WHOLE.replace(b"\r\n", b";\x00\r\n", 1)),
            ("an extension with LF", WHOLE.replace(b"\r\n", b";x\n", 1)),
            ("an extension that is too long",
             WHOLE.replace(b"\r\n", b";" + b"x" * 999 + b"\r\n", 1)),
            ("a size that ends with LF", WHOLE.replace(b"\r\n", b"\n", 1)),
            ("a size that ends with CR", WHOLE.replace(b"\r\n", b"\r", 1)),
            ("data that is too long", b"5\r\n123456\r\n0\r\n\r\n"),
            ("data that ends with LF", b"5\r\n12345\n0\r\n\r\n"),
            ("an end with LF", WHOLE[:-4] + b"\n\n"),
            ("a trailer with an empty name", WHOLE[:-2] + b"A: b\r\n: x\r\n\r\n"),
            ("a trailer with an empty name, LF", WHOLE[:-2] + b"A: b\r\n:\n\r\n"),
            ("a trailer with a space before the colon", WHOLE[:-2] + b"A : b\r\n\r\n"),
            ("a trailer without a colon", WHOLE[:-2] + b"GET / HTTP/1.1\r\n\r\n"),
            ("a trailer with a NUL", WHOLE[:-2] + b"A: b\x00\r\n\r\n"),
            ("a folded trailer", WHOLE[:-2] + b"A: b\r\n c\r\n\r\n"),
            ("a trailer of framing", WHOLE[:-2] + b"Content-Length: 1\r\n\r\n"),
            ("a trailer with a token", WHOLE[:-2] + b"apikey: k\r\n\r\n"),
            ("a trailer that is too large", WHOLE[:-2] + b"A: " + b"b" * 2000 + b"\r\n\r\n"),
            ("a trailer of many fields", WHOLE[:-2] + b"A: b\r\n" * 17 + b"\r\n")]:
        yield f"chunks: {name}", chunked(body), 400


def _sizes():
    yield "8,000 bytes of cookies", get(fields=b"Cookie: " + b"a=b; " * 1600 + b"\r\n"), 431
    yield "one cookie of 8,000 bytes", get(fields=b"Cookie: a=" + b"b" * 8000 + b"\r\n"), 431
    yield "3,000 bytes of cookies", get(fields=b"Cookie: " + b"name=value123456; " * 60 +
                                        b"x=" + b"y" * 1900 + b"\r\n"), 404
    yield "200 fields of 30 bytes", get(fields=b"X-Name-1234: 1234567890123456\r\n" * 200), 431
    yield "90 fields", get(fields=b"X-Name-1234: 1234567890123456\r\n" * 90), 404
    yield "101 fields", get(fields=b"A: b\r\n" * 100), 431
    yield "a field of 7,900 bytes", get(fields=b"X-Name: " + b"x" * 7900 + b"\r\n"), 404
    yield "a field of 9,000 bytes", get(fields=b"X-Name: " + b"x" * 9000 + b"\r\n"), 431
    yield "a name of 9,000 bytes", get(fields=b"x" * 9000 + b": x\r\n"), 431
    yield "a header of 100,000 bytes", get(fields=b"X-Name: " + b"x" * 100000 + b"\r\n"), 431


def rows():
    every = [_targets, _absolute, _request_lines, _fields, _twice, _lengths, _codings, _chunks,
             _sizes]
    return [row for group in every for row in group()]


def _spaced(size):
    """BODY, with white space behind it: size bytes."""
    return BODY + b" " * (size - len(BODY))


def with_much_behind():
    """Headers that need much of libmicrohttpd's memory, and as much again that may come in the same
    read: (name, bytes, the status of each response)."""
    arguments = b"&".join([b"a"] * 64)
    fields = [b"F%d: x\r\n" % i for i in range(97)]
    cookies = b"Cookie: " + b"; ".join(b"name%02d=value12345678" % i for i in range(100)) + b"\r\n"
    many = get(STATUS + b"&a" * 20, fields=b"".join(fields))
    behind = get() * 400
    rest = [404] * 400
    body = _spaced(9000)
    post_many = post(b"".join(fields[:66]), body).replace(b"/solve ", b"/solve?" + arguments + b" ")
    trailer = WHOLE[:-2] + b"".join(b"T%d: x\r\n" % i for i in range(16)) + b"\r\n"
    yield "a body behind many fields and arguments", post_many, [NOT_ALLOWED]
    yield "a body behind cookies", post(cookies + b"".join(fields[:12]), body), [NOT_ALLOWED]
    yield "a body of 20 KB behind cookies", post(cookies, _spaced(20000)), [NOT_ALLOWED]
    yield "requests behind many fields", many + behind, [404] + rest
    yield "requests behind cookies", get(fields=cookies + b"".join(fields[:14])) + behind, [404] + rest
    yield ("requests behind a trailer",
           chunked(trailer, b"".join(fields[:90])) + behind, [NOT_ALLOWED] + rest)
    for size in range(8171, 8185):  # HOST becomes longer by nine
        header = post(b"", b"", b"Content-Length: 20000\r\nX: \r\n")
        yield (f"a body of 20 KB behind a header of about {size + 9} bytes",
               header.replace(b"X: ", b"X: " + b"x" * (size - len(header))) + _spaced(20000),
               [NOT_ALLOWED])
