// Opens the way to a server: direct or by a proxy, with TLS that trusts what this system trusts.
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { HttpError, NetworkError, WireError } from "./errors.ts";
import { type ProxySettings, proxyFor } from "./proxy.ts";
import { type TrustSettings, trustedAuthorities } from "./trust.ts";

export interface Network {
  readonly proxy: ProxySettings;
  readonly trust: TrustSettings;
}

/**
 * Returns the options that make http.request take the way to `url`. Rejects with NetworkError, or with HttpError when
 * a proxy refuses. The proxy's password is in no message.
 */
export async function routeTo(url: URL, network: Network): Promise<RequestOptions> {
  const proxy = proxyFor(url, network.proxy);
  if (proxy !== null && !/^https?:$/.test(proxy.protocol)) {
    throw new WireError(
      "HTTPS_PROXY or HTTP_PROXY",
      `a ${proxy.protocol} proxy is not supported, use an http one`,
    );
  }
  if (url.protocol === "http:") return proxy === null ? {} : viaHttpProxy(url, proxy, network);

  const servername = url.hostname.replace(/^\[|\]$/g, "");
  const target =
    proxy === null ? { host: servername, port: portOf(url) } : { socket: await tunnel(url, proxy, network) };
  return { createConnection: () => secure(target, servername, network) };
}

/** A plain request goes to the proxy with the whole address in its first line. */
function viaHttpProxy(url: URL, proxy: URL, network: Network): RequestOptions {
  const { hostname } = proxy;
  return {
    path: url.href,
    headers: proxyHeaders(proxy),
    ...(proxy.protocol === "https:"
      ? { createConnection: () => secure({ host: hostname, port: portOf(proxy) }, hostname, network) }
      : { hostname, port: portOf(proxy) }),
  };
}

/** Asks the proxy by CONNECT for a connection to the server, which TLS then runs through. */
function tunnel(url: URL, proxy: URL, network: Network): Promise<Socket> {
  const authority = `${url.hostname}:${portOf(url)}`;
  const what = `CONNECT ${authority} by proxy ${proxy.host}`;
  return new Promise((resolve, reject) => {
    const send = proxy.protocol === "https:" ? httpsRequest : httpRequest;
    const request = send({
      hostname: proxy.hostname,
      port: portOf(proxy),
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...proxyHeaders(proxy) },
      agent: false,
      ...(proxy.protocol === "https:" && { ca: trustedAuthorities(network.trust) }),
    });
    request.on("error", (error) => reject(new NetworkError(what, error)));
    const refuse = (status: number | undefined): void =>
      reject(
        new HttpError(what, status ?? 0, status === 407 ? "the proxy asks for a user and password" : ""),
      );
    // A refusal may come either way, depending on the runtime.
    request.on("response", (answer) => refuse(answer.statusCode));
    request.on("connect", (answer, socket) =>
      answer.statusCode === 200 ? resolve(socket) : refuse(answer.statusCode),
    );
    request.end();
  });
}

function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}

function secure(target: ConnectionOptions, name: string, network: Network): TLSSocket {
  // An address is no server name, but it is what the certificate is checked against.
  const servername = /^[\d.]+$|:/.test(name) ? {} : { servername: name };
  return connect({ ...target, ...servername, ca: trustedAuthorities(network.trust) });
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
