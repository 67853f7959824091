// Opens the way to a server: direct or by a proxy, with TLS that trusts what this system trusts.
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { HttpError, NetworkError, WireError } from "./errors.ts";
import type { Route } from "./http.ts";
import { type ProxySettings, proxyFor } from "./proxy.ts";
import { type TrustSettings, trustedAuthorities } from "./trust.ts";

export interface Network {
  readonly proxy: ProxySettings;
  readonly trust: TrustSettings;
}

/**
 * Returns the way to `url`. Rejects with NetworkError, or with HttpError when a proxy refuses. The proxy's password is
 * in no message.
 */
export async function routeTo(url: URL, network: Network): Promise<Route> {
  const proxy = proxyFor(url, network.proxy);
  if (proxy !== null && !/^https?:$/.test(proxy.protocol)) {
    throw new WireError(
      "HTTPS_PROXY or HTTP_PROXY",
      `a ${proxy.protocol} proxy is not supported, use an http one`,
    );
  }
  if (url.protocol === "http:") {
    const createConnection = (): Socket => open(proxy ?? url, network);
    // A plain request goes to the proxy with the whole address in its first line.
    return { createConnection, ...(proxy && { path: url.href, headers: proxyHeaders(proxy) }) };
  }
  const socket = proxy && (await tunnel(url, proxy, network));
  return { createConnection: () => open(url, network, socket) };
}

/** Asks the proxy by CONNECT for a connection to the server, which TLS then runs through. */
function tunnel(url: URL, proxy: URL, network: Network): Promise<Socket> {
  const authority = `${url.hostname}:${portOf(url)}`;
  const what = `CONNECT ${authority} by proxy ${proxy.host}`;
  return new Promise((resolve, reject) => {
    const asking = request({
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...proxyHeaders(proxy) },
      createConnection: () => open(proxy, network),
    });
    asking.on("error", (error) => reject(new NetworkError(what, error)));
    const refuse = (status: number | undefined): void =>
      reject(
        new HttpError(what, status ?? 0, status === 407 ? "the proxy asks for a user and password" : ""),
      );
    // A refusal may come either way, depending on the runtime.
    asking.on("response", (answer) => refuse(answer.statusCode));
    asking.on("connect", (answer, socket) =>
      answer.statusCode === 200 ? resolve(socket) : refuse(answer.statusCode),
    );
    asking.end();
  });
}

function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}

/** Connects to the server or proxy at `url`, through `socket` where there is one. */
function open(url: URL, network: Network, socket?: Socket | null): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (url.protocol === "http:") return connect(portOf(url), host);
  // Through a socket, `host` is still what the certificate is checked against; an address is no server name.
  const target: ConnectionOptions = { host, port: portOf(url), ...(socket && { socket }) };
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  return connectTls({ ...target, ...servername, ca: trustedAuthorities(network.trust) });
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
