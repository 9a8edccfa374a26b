from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from astro_magic.errors import FileAccessError, InvalidContentError
from astro_magic.private.certificates import read_authorities
from tests.unit.private.authorities import NOW, Authority

ROOT = Authority()
OTHER = Authority("Other Root")


@pytest.fixture
def file(tmp_path):
    def make(data, name="ca.pem"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return make


def refused(path, reason):
    with pytest.raises(InvalidContentError, match=reason) as caught:
        read_authorities(path)
    assert caught.value.hint
    assert caught.value.message.startswith(str(path))
    return caught.value


@pytest.mark.parametrize(
    "data",
    [ROOT.pem, ROOT.der, ROOT.pem.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + ROOT.pem],
    ids=["pem", "der", "windows", "mark"],
)
def test_an_authority_is_given_in_pem_form(file, data):
    [found] = read_authorities(file(data))
    assert found.pem == ROOT.pem
    assert (found.subject, found.issuer, found.is_ca) == ("CN=Example Root", "CN=Example Root", True)
    assert found.not_before < NOW < found.not_after
    assert "BEGIN" not in repr(found)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_the_fingerprint_is_the_one_of_openssl(file):
    path = file(ROOT.pem)
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip().partition("=")[2] == read_authorities(path)[0].fingerprint


def test_a_bundle_has_each_certificate_once(file):
    found = read_authorities(file(b"# Example Root\n" + ROOT.pem + b"\nOther\n" + OTHER.pem + ROOT.pem))
    assert [certificate.subject for certificate in found] == ["CN=Example Root", "CN=Other Root"]


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\xff\xfe\x00", b"<html>"])
def test_no_certificate(file, data):
    refused(file(data), "holds no certificate")


def test_other_forms_are_to_be_converted(file):
    assert "openssl pkcs12 -cacerts -nokeys -in ca.pfx -out ca.pem" in refused(file(b"\x30", "ca.pfx"), "no").hint
    assert "openssl pkcs7" in refused(file(b"\x30", "ca.p7b"), "no").hint


def test_a_damaged_certificate_is_named_by_its_place(file):
    lines = ROOT.pem.splitlines(keepends=True)
    damaged = b"".join([*lines[:2], b"AAAA\n", *lines[3:]])
    refused(file(ROOT.pem + damaged), rf"ca\.pem, certificate 2 \(line {len(lines) + 1}\): .*damaged")
    refused(file(ROOT.pem + b"".join(lines[:3])), "without an end")


def test_a_private_key_must_not_get_into_an_image(file):
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH):
        key = ROOT.key.private_bytes(Encoding.PEM, form, NoEncryption())
        problem = refused(file(ROOT.pem + key), "holds a private key")
        assert key.splitlines()[1].decode() not in str(problem)


def test_the_certificate_of_a_server_names_its_authority(file):
    server, _ = ROOT.server()
    problem = refused(file(server + ROOT.pem), r"certificate 1 \(line 1\): CN=Example Server is no certificate of an")
    assert "CN=Example Root" in problem.hint


def test_an_authority_whose_key_may_not_sign(file):
    assert "signed itself" in refused(file(Authority(signing=False).pem), "no certificate of an authority").hint


def test_the_time(file):
    old = file(Authority("Old Root", days=(-20, -10)).pem)
    refused(old, f"line 1: CN=Old Root expired on {NOW - timedelta(days=10):%Y-%m-%d}")
    [found] = read_authorities(old, now=NOW - timedelta(days=15))
    assert found.subject == "CN=Old Root"
    coming = file(ROOT.pem + Authority("Next Root", days=(10, 20)).pem)
    refused(coming, f"CN=Next Root is valid only from {NOW + timedelta(days=10):%Y-%m-%d} on")


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileAccessError, match="does not exist"):
        read_authorities(tmp_path / "none.pem")
    with pytest.raises(FileAccessError, match="a folder"):
        read_authorities(tmp_path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_an_old_authority_without_extensions(tmp_path):
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Example Corp/CN=First"]
    subprocess.run(
        [*request, "-keyout", "key.pem", "-out", "request.pem"], check=True, capture_output=True, cwd=tmp_path
    )
    sign = ["openssl", "x509", "-req", "-in", "request.pem", "-signkey", "key.pem", "-days", "2", "-out", "ca.pem"]
    subprocess.run(sign, check=True, capture_output=True, cwd=tmp_path)
    [found] = read_authorities(tmp_path / "ca.pem")
    assert found.subject == "CN=First,O=Example Corp"
