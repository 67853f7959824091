// The certificate authorities that Coder's certificate may come from: the runtime's own and those of this system.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { attempt } from "./attempt.ts";

export interface TrustSettings {
  /** SSL_CERT_FILE: takes the place of the system's file, as for Go and OpenSSL. */
  readonly certFile: string;
  /** SSL_CERT_DIR: folders, separated by colons. */
  readonly certDir: string;
  /** NODE_EXTRA_CA_CERTS: added. */
  readonly extraFile: string;
}

/** Where systems keep them, the first one counts: Go's crypto/x509/root_linux.go (Debian, RHEL, SUSE, Alpine …). */
const SYSTEM_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Returns PEM texts. A file that can't be read or holds no certificate is passed over, like in Go. */
export function trustedAuthorities({ certFile, certDir, extraFile }: TrustSettings): string[] {
  const systemFiles = certFile === "" ? SYSTEM_FILES : [certFile];
  const system = systemFiles.map(readPem).find((pem) => pem !== "") ?? "";
  const fromDirs = certDir.split(":").filter(Boolean).flatMap(filesIn).map(readPem);
  return [...rootCertificates, system, ...fromDirs, readPem(extraFile)].filter((pem) => pem !== "");
}

function filesIn(dir: string): string[] {
  return attempt(() => readdirSync(dir), []).map((name) => join(dir, name));
}

function readPem(path: string): string {
  const text = attempt(() => readFileSync(path, "utf8"), "");
  return text.includes("-----BEGIN CERTIFICATE-----") ? text : "";
}
