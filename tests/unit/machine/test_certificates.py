from __future__ import annotations

import os
import shutil
import ssl

import pytest

from astro_magic.machine.certificates import check_certificates, read_bundle

# Self-signed; their key is thrown away. One is valid until 2126, the other expired in 2002.
GOOD = """\
-----BEGIN CERTIFICATE-----
MIIBsjCCAVmgAwIBAgIUZbt6DlY66htiwwQGuLzgTcxa7SAwCgYIKoZIzj0EAwIw
LjEVMBMGA1UECgwMRXhhbXBsZSBDb3JwMRUwEwYDVQQDDAxFeGFtcGxlIFJvb3Qw
IBcNMjYxMTIxMDg0ODQyWhgPMjEyNjEwMjgwODQ4NDJaMC4xFTATBgNVBAoMDEV4
YW1wbGUgQ29ycDEVMBMGA1UEAwwMRXhhbXBsZSBSb290MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEZG7d50E7+vYH/t4GiaHok2A0OEimLfzipiR/8OR/oDLnqv5J
BOJeg3V0yJBKh+swxJhaBRdOSVE3XOuQeiPWiKNTMFEwHQYDVR0OBBYEFOVHMLgG
X83yp0r1CMspguDHiS6IMB8GA1UdIwQYMBaAFOVHMLgGX83yp0r1CMspguDHiS6I
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgLCYquBVDPq0ntv8L
yNUrKFerGXyWVjAxNrrP45MgB3QCIEcgp+wq6BG9VnonhiZXh1h/LGrrHDNjcV5F
U5cnB8EL
-----END CERTIFICATE-----
"""
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBhjCCASugAwIBAgIBATAKBggqhkjOPQQDAjAyMRUwEwYDVQQKDAxFeGFtcGxl
IENvcnAxGTAXBgNVBAMMEE9sZCBFeGFtcGxlIFJvb3QwHhcNMDEwMTAxMDAwMDAw
WhcNMDIwMTAxMDAwMDAwWjAyMRUwEwYDVQQKDAxFeGFtcGxlIENvcnAxGTAXBgNV
BAMMEE9sZCBFeGFtcGxlIFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARk
bt3nQTv69gf+3gaJoeiTYDQ4SKYt/OKmJH/w5H+gMueq/kkE4l6DdXTIkEqH6zDE
mFoFF05JUTdc65B6I9aIozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBTl
RzC4Bl/N8qdK9QjLKYLgx4kuiDAKBggqhkjOPQQDAgNJADBGAiEA+2njOn1y3jUX
+gVxlp6+IfA+R34aJ003XMrk51GnmjgCIQCyMI31VuErrYfMnYl41MhYE9dcNbPA
/IakFFjgD73m1g==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
bm8ga2V5IGF0IGFsbA==
-----END PRIVATE KEY-----
"""


@pytest.fixture
def file(tmp_path):
    def make(content, name="ca.pem"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return make


def test_nothing_is_set():
    [result] = check_certificates({})
    assert result.state == "good"
    assert "the system's own are used" in result.detail


def test_good_files_are_told_once(file, tmp_path):
    bundle = file(GOOD)
    named = {"SSL_CERT_FILE": bundle, "PIP_CERT": bundle, "NODE_EXTRA_CA_CERTS": file(GOOD * 2, "two.pem")}
    [result] = check_certificates({**named, "SSL_CERT_DIR": str(tmp_path), "CURL_CA_BUNDLE": ""})
    assert result.state == "good"
    assert result.detail == (
        f"SSL_CERT_FILE, PIP_CERT: 1 certificate; NODE_EXTRA_CA_CERTS: 1 certificate; SSL_CERT_DIR: {tmp_path}"
    )


@pytest.mark.parametrize(
    "content",
    ["", "garbage", b"\xff\xfe\x00", KEY, GOOD[: len(GOOD) // 2], ssl.PEM_cert_to_DER_cert(GOOD)],
    ids=["empty", "garbage", "bytes", "key", "cut", "DER"],
)
def test_what_is_no_pem(file, content):
    [result] = check_certificates({"REQUESTS_CA_BUNDLE": file(content)})
    assert result.state == "bad"
    assert "holds no certificates in PEM form" in result.detail
    assert "bm8ga2V5" not in repr(result)
    assert result.hint


def test_a_file_that_is_not_there(tmp_path):
    missing = str(tmp_path / "none.pem")
    [result] = check_certificates({"SSL_CERT_FILE": missing, "PIP_CERT": missing})
    assert result.state == "bad"
    assert result.detail == f"SSL_CERT_FILE, PIP_CERT: {missing} cannot be read: No such file or directory"


def test_expired(file):
    [result] = check_certificates({"SSL_CERT_FILE": file(EXPIRED)})
    assert result.state == "bad"
    assert "1 of 1 certificate in" in result.detail
    assert result.detail.endswith("expired: Old Example Root")
    [result] = check_certificates({"SSL_CERT_FILE": file(GOOD + EXPIRED)})
    assert result.state == "warning"
    assert "1 of 2 certificates" in result.detail


def test_what_is_good_is_told_beside_what_is_not(file):
    bad, good = check_certificates({"SSL_CERT_FILE": file(EXPIRED), "PIP_CERT": file(GOOD, "good.pem")})
    assert (bad.state, good.state, good.detail) == ("bad", "good", "PIP_CERT: 1 certificate")


def test_a_bundle(file):
    bundle = read_bundle(file(f"# a comment\r\n{GOOD}\nbetween\n{EXPIRED}"))
    assert (bundle.certificates, bundle.expired) == (2, ("Old Example Root",))


def test_folders(tmp_path, file):
    empty = tmp_path / "empty"
    empty.mkdir()
    [result] = check_certificates({"SSL_CERT_DIR": str(empty)})
    assert (result.state, result.detail) == ("bad", f"SSL_CERT_DIR: {empty} has no certificates in it")
    file(GOOD)
    [result] = check_certificates({"SSL_CERT_DIR": os.pathsep.join([str(tmp_path), str(empty)])})
    assert result.state == "good"
    [result] = check_certificates({"SSL_CERT_DIR": os.pathsep.join([str(tmp_path), str(tmp_path / "none")])})
    assert (result.state, result.detail) == ("bad", f"SSL_CERT_DIR: there is no folder {tmp_path / 'none'}")


def test_a_folder_where_only_a_file_may_be(tmp_path, file):
    file(GOOD)
    [result] = check_certificates({"REQUESTS_CA_BUNDLE": str(tmp_path)})
    assert result.state == "good"
    [result] = check_certificates({"SSL_CERT_FILE": str(tmp_path)})
    assert result.state == "bad"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_what_openssl_makes_today_is_good(tmp_path):
    from astro_magic.system import processes

    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Today", "-days", "2"]
    processes.run([*made, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "today.pem"])
    assert read_bundle(tmp_path / "today.pem").expired == ()
    assert read_bundle(tmp_path / "today.pem").certificates == 1
