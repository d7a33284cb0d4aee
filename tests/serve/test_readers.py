"""Who asks: tokens of the database and JSON Web Tokens, and what each is worth."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from helpers import one
from serving import Serving, serving

from pgpublish.errors import BadArgument
from pgpublish.serve import Jwt

pytest_plugins = ["served"]


SECRET = "s" * 32


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, tuple[Any, str]] = {
    "RS256": (RSA, pem(RSA)),
    "ES256": (EC, pem(EC)),
    "HS256": (SECRET, SECRET),
}


def status(server: Serving, token: str, path: str = "/changes") -> int:
    return Serving(server.port, token=token).get(path).status_code


def test_a_token_of_the_database_is_worth_its_role_and_scope(url, orders, put):
    put("order", "1", '{"tenant": "acme"}', "2", '{"tenant": "globex"}')
    put("note", "n", "1")
    orders.execute("create role web; select publish_grant('web', '{order}')")
    token = one(orders, "select publish_token_add('shop', 'web', 'acme')")
    with serving(url, public=None) as server:
        assert server.get("/changes").status_code == 401
        assert server.get("/changes").headers["www-authenticate"].startswith("Bearer")
        shop = Serving(server.port, token=token)
        page = shop.get("/changes")
        assert [c["payload"] for c in page.json()["changes"]] == [{"tenant": "acme"}]
        assert page.headers["cache-control"] == "private, no-cache"
        assert status(server, token, "/changes?kinds=note") == 403
        assert status(server, token, "/stream?kinds=note") == 403
        theirs = one(orders, "select publish_pub_id('order', '2')")
        assert status(server, token, f"/kinds/order/{theirs}") == 404
        ours = one(orders, "select publish_pub_id('order', '1')")
        assert shop.get(f"/kinds/order/{ours}").headers["cache-control"] == "private, no-cache"
        for wrong in (token[:-1], token + "0", "pgp_" + "0" * 64, "x" * 9000, "a b", "a.b.c"):
            assert status(server, wrong) == 401
        with Serving(server.port).stream(f"/stream?access_token={token}") as events:
            assert len(events.until("live")) == 1
        assert server.get(f"/changes?access_token={token}").status_code == 401
        assert shop.get(f"/stream?access_token={token}").status_code == 400
        for header in ("Basic eDp5", "Bearer", "Bearer a b", token):
            answer = server.get("/changes", headers={"Authorization": header})
            assert answer.status_code == 401
            assert token not in answer.text
    orders.execute("drop owned by web; drop role web")


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_signed_token_is_worth_what_its_claims_say(url, orders, put, algorithm):
    put("order", "1", '{"tenant": "7"}', "2", '{"tenant": "8"}')
    private, public = KEYS[algorithm]
    rules = Jwt(public, algorithm, audience="feed", issuer="me", scope_claim="tenant")
    good = {
        "exp": time.time() + 60,
        "aud": "feed",
        "iss": "me",
        "role": "publish_reader",
        "tenant": 7,
    }

    def signed(key: Any = private, algorithm: str = algorithm, **claims: Any) -> str:
        every = {k: v for k, v in (good | claims).items() if v is not None}
        return jwt.encode(every, key, algorithm)

    with serving(url, public=None, jwt=rules) as server:
        page = Serving(server.port, token=signed()).get("/changes").json()
        assert [c["payload"] for c in page["changes"]] == [{"tenant": "7"}]
        assert status(server, signed(exp=10**18)) == 200
        ahead = time.time() + 10  # the clock of who signed
        assert status(server, signed(iat=ahead, nbf=ahead)) == 200
        for wrong in (
            signed(exp=time.time() - 1),
            signed(exp=None),
            signed(aud="other"),
            signed(aud=None),
            signed(iss="other"),
            signed(nbf=time.time() + 60),
            signed()[:-4] + "AAAA",
            signed(key="", algorithm="none"),
            signed(key="t" * 32, algorithm="HS256"),
        ):
            assert status(server, wrong) == 401
        for wrong in (
            signed(role=None),
            signed(role=""),
            signed(role=["publish_reader"]),
            signed(role="publish_admin"),
            signed(role="postgres"),
            signed(tenant=None),
            signed(tenant=""),
            signed(tenant=True),
            signed(tenant={"a": 1}),
        ):
            assert status(server, wrong) == 403
        assert status(server, one(orders, "select publish_token_add('t', 'publish_reader')")) == 200


def test_a_role_may_be_fixed_for_all_signed_tokens(url, orders, put):
    put("note", "n", "1")
    rules = Jwt(SECRET, "HS256", role="publish_reader")
    with serving(url, public=None, jwt=rules) as server:
        token = jwt.encode({"exp": time.time() + 60, "role": "publish_admin"}, SECRET, "HS256")
        assert status(server, token) == 200


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        ("short", "HS256"),
        (SECRET, "none"),
        (SECRET, "HS512"),
        (SECRET, "RS256"),
        (SECRET, "ES256"),
        (pem(RSA), "HS256"),
        (pem(RSA), "ES256"),
        (pem(EC), "RS256"),
    ],
)
def test_rules_that_protect_nothing_are_refused(key, algorithm):
    with pytest.raises(BadArgument):
        Jwt(key, algorithm)


def test_the_private_key_is_not_taken(capsys):
    own = serialization.NoEncryption()
    text = RSA.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, own
    ).decode()
    with pytest.raises(BadArgument) as raised:
        Jwt(text, "RS256")
    assert "MII" not in str(raised.value)
    assert SECRET not in repr(Jwt(SECRET, "HS256"))


def test_the_log_of_the_database_holds_no_token(url, orders, cluster, put):
    """Who logs statements or slow calls logs their parameters."""
    put("note", "n", "1")
    token = one(orders, "select publish_token_add('t', 'publish_reader')")
    logged = f"{url} options='-c log_min_duration_statement=0'"
    with serving(logged, public=None) as server:
        assert status(server, token) == 200
        operate = Serving(server.port, token=token).get(
            "/operate", method="POST", json={"action": "pause", "name": "none"}
        )
        assert operate.status_code == 403
    log = cluster.log.read_text()
    assert "publish_token_check" in log
    assert "publish_serve_operate" in log
    assert token not in log
