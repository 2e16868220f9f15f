"""A PostgreSQL of the tests' own with further roles, and in front of it what RDS does with tokens."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import selectors
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2
import sqlalchemy as sa
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from data_resource_api.database.embedded import join

#: The role whose password changes, and the role that signs in with tokens (the server trusts the latter).
ROTATED = "rotated"
SIGNED = "signed"


class OwnServer:
    """The embedded PostgreSQL, its rules changed so that a superuser can be used."""

    def __init__(self, folder: Path) -> None:
        embedded = join(folder)
        self.release = embedded.release
        self.socket = str(sa.make_url(embedded.url).query["host"])
        (hba,) = folder.rglob("pg_hba.conf")
        hba.write_text(
            f"local all postgres trust\nlocal all {SIGNED} trust\nlocal all all scram-sha-256\n"
        )
        os.kill(int((hba.parent / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser."""
        login = {"host": self.socket, "port": 5432, "user": "postgres", "dbname": "drg"}
        with contextlib.closing(psycopg2.connect(**login)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self, role: str, password: str = "") -> str:
        """A new database that belongs to a role; its name."""
        name = f"drg_{os.urandom(6).hex()}"
        if not self.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):
            self.execute(f"CREATE ROLE {role} LOGIN")
        self.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        self.execute(f"CREATE DATABASE {name} OWNER {role}")
        return name

    def disconnect(self, role: str) -> None:
        """End every connection of a role."""
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        )


class Rds:
    """Takes TLS connections only, checks the token as RDS does, and hands over to PostgreSQL.

    ``tokens`` are those that were presented, ``plain`` counts connections that did not ask for TLS.
    """

    def __init__(self, server: OwnServer, folder: Path, region: str, keys: dict[str, str]) -> None:
        self.tokens: list[str] = []
        self.plain = 0
        self._server, self._region, self._keys = server, region, keys
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(_certificate(folder))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="rds", daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def refusal(self, token: str) -> str | None:
        """Why a token is not good, or ``None``: signature, action, user, age."""
        parts = urlsplit(f"https://{token}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.netloc != f"127.0.0.1:{self.port}" or query.get("Action") != "connect":
            return "it is for something else"
        if query.get("DBUser") != SIGNED or query.get("X-Amz-Expires") != "900":
            return "it is for somebody else, or for another time than 15 minutes"
        secret = Credentials(self._keys["AWS_ACCESS_KEY_ID"], self._keys["AWS_SECRET_ACCESS_KEY"])
        signer = _At(query["X-Amz-Date"], secret, "rds-db", self._region, expires=900)
        request = AWSRequest("GET", f"https://{parts.netloc}/?Action=connect&DBUser={SIGNED}")
        signer.add_auth(request)
        expected = parse_qs(urlsplit(request.url).query)["X-Amz-Signature"][0]
        return None if expected == query.get("X-Amz-Signature") else "its signature is wrong"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), plain:
            if _exactly(plain, 8) != struct.pack("!II", 8, 80877103):  # not an SSLRequest
                self.plain += 1
                return
            plain.sendall(b"S")
            with self._tls.wrap_socket(plain, server_side=True) as client:
                (length,) = struct.unpack("!I", start := _exactly(client, 4))
                start += _exactly(client, length - 4)
                client.sendall(b"R" + struct.pack("!II", 8, 3))  # a password in clear text, please
                _, length = struct.unpack("!cI", _exactly(client, 5))
                token = _exactly(client, length - 4).rstrip(b"\0").decode()
                self.tokens.append(token)
                if reason := self.refusal(token):
                    fields = f"SFATAL\0C28P01\0MPAM authentication failed: {reason}\0\0".encode()
                    client.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)
                    return
                with socket.socket(socket.AF_UNIX) as server:
                    server.connect(f"{self._server.socket}/.s.PGSQL.5432")
                    server.sendall(start)
                    _pump(client, server)


class _At(SigV4QueryAuth):
    """Signs as somebody did at another moment."""

    def __init__(self, stamp: str, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._stamp = stamp

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = self._stamp
        super()._modify_request_before_signing(request)


def _exactly(stream: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        if not (more := stream.recv(count - len(received))):
            raise EOFError
        received += more
    return received


def _pump(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                source: Any = key.fileobj
                data = source.recv(65536)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(65536)
                if not data:
                    return
                key.data.sendall(data)


def _certificate(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextlib.contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    """A PostgreSQL until the block ends."""
    server = OwnServer(folder)
    try:
        yield server
    finally:
        server.release()
