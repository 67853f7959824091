// The named reasons why a step of the shutdown fails; each message is what a person reads in the log.

/** Base of every failure that the shutdown expects; anything else is a bug. */
export class ShutdownError extends Error {}

// Deno has one code for both.
const UNTRUSTED = `its certificate ${process.versions["deno"] ? "has expired, or " : ""}comes from an authority that this image does not trust; install that CA, or set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS`;

/** Codes of OpenSSL and node:tls for a certificate that no further attempt makes better. */
const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine's clock is wrong",
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
};

/** No answer: refused, reset, DNS, TLS. `code` is the system's error code where there is one. */
export class NetworkError extends ShutdownError {
  readonly code: string;
  /** Another attempt would fail in the same way. */
  readonly permanent: boolean;

  constructor(what: string, cause: unknown) {
    const { code = "", message } = cause as { code?: string; message?: string };
    const fault = CERTIFICATE_FAULTS[code];
    super(`${what}: ${fault ?? (message || code || "connection failed")}${fault ? ` (${code})` : ""}`, {
      cause,
    });
    this.code = code;
    this.permanent = fault !== undefined;
  }
}

/** An answer with a status that is not a success. `retryAfterMs` is what the server asked for, if it did. */
export class HttpError extends ShutdownError {
  constructor(
    what: string,
    readonly status: number,
    detail: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(`${what}: HTTP ${status}${detail && `: ${detail}`}`);
  }
}

/** The time that a step may take is used up. */
export class DeadlineError extends ShutdownError {
  constructor(what: string, spentMs: number) {
    super(`${what}: no answer within ${(spentMs / 1000).toFixed(1)} s`);
  }
}

/** An answer, a file or a setting of the wrong shape. */
export class WireError extends ShutdownError {
  constructor(source: string, what: string) {
    super(`${source}: ${what}`);
  }
}
