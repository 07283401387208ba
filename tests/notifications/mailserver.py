"""A small SMTP server on loopback (RFC 5321), which can refuse recipients or mails and be closed and opened again."""

import socketserver
import threading
from types import TracebackType
from typing import Self


class MailServer:
    """`received` are the Message-IDs of accepted mails, in order; `tries` counts mails handed over."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.tries = 0
        self.refuse: dict[str, str] = {}
        self.refuse_data = ""
        self.greeting = "220 mail.ours.example"
        self.port = 0
        self.open()

    def open(self) -> None:
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        outer = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say(outer.greeting)
                while line := self.rfile.readline().decode().strip():
                    verb = line[:4].upper()
                    if verb == "QUIT":
                        self.say("221 bye")
                        return
                    self.say(self.data() if verb == "DATA" else outer.answer(line))

            def data(self) -> str:
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                return outer.take([line.decode() for line in lines])

            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

        return Conversation

    def answer(self, line: str) -> str:
        """To everything but DATA and QUIT."""
        if line.upper().startswith("RCPT"):
            return next((said for address, said in self.refuse.items() if address in line), "250 ok")
        return "250 ok"

    def take(self, lines: list[str]) -> str:
        self.tries += 1
        if self.refuse_data:
            return self.refuse_data
        self.received.extend(line for line in lines if line.lower().startswith("message-id:"))
        return "250 taken"
