// Certificates for TLS servers of tests, made by the `openssl` program when a test asks for them.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM texts. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export interface IssueOptions {
  /** Names and addresses that the certificate is for, as of openssl's subjectAltName. */
  readonly names?: readonly string[];
  readonly expired?: boolean;
  readonly selfSigned?: boolean;
}

/** Why there can be no certificates on this machine; "" where there can. */
export const NO_CERTIFICATES = ((): string => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return "";
  } catch {
    return "the openssl program is missing";
  }
})();

const CONFIG = `
[req]
distinguished_name = name
[name]
[ca]
default_ca = authority
[authority]
new_certs_dir = .
database = index.txt
serial = serial
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
subjectAltName = $ENV::NAMES
`;

/** A certificate authority of its own, which no system trusts. */
export class Authority implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "authority-"));
  /** The authority's own certificate, for SSL_CERT_FILE and the like. */
  readonly file = join(this.dir, "ca.pem");
  private issued = 0;

  constructor() {
    writeFileSync(join(this.dir, "openssl.cnf"), CONFIG);
    writeFileSync(join(this.dir, "index.txt"), "");
    writeFileSync(join(this.dir, "serial"), "1000");
    this.request("ca");
    this.sign("ca", ["-selfsign", "-extensions", "root"]);
  }

  /** A certificate for a server on this machine's loopback, unless told otherwise. */
  issue(options: IssueOptions = {}): Certificate {
    const { names = ["DNS:localhost", "IP:127.0.0.1"], expired = false, selfSigned = false } = options;
    const name = `leaf-${this.issued++}`;
    this.request(name);
    this.sign(
      name,
      [
        ...(selfSigned ? ["-selfsign"] : ["-cert", "ca.pem"]),
        ...["-extensions", "leaf"],
        ...(expired ? ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"] : []),
      ],
      { signer: selfSigned ? name : "ca", names },
    );
    return { key: this.read(`${name}.key`), cert: this.read(`${name}.pem`) };
  }

  private request(name: string): void {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`];
    this.openssl(["req", "-new", ...key, "-subj", `/CN=Test ${name}`, "-out", `${name}.csr`]);
  }

  private sign(
    name: string,
    args: readonly string[],
    { signer = name, names = ["DNS:unused"] }: { signer?: string; names?: readonly string[] } = {},
  ): void {
    const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-keyfile", `${signer}.key`];
    this.openssl(["ca", "-batch", "-notext", "-days", "30", ...files, ...args], names);
  }

  private openssl(args: readonly string[], names: readonly string[] = ["DNS:unused"]): void {
    const [command, ...others] = args;
    execFileSync("openssl", [command!, "-config", "openssl.cnf", ...others], {
      cwd: this.dir,
      env: { ...process.env, NAMES: names.join() },
      stdio: ["ignore", "ignore", "pipe"],
    });
  }

  private read(name: string): string {
    return readFileSync(join(this.dir, name), "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
