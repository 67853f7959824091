// Which proxy a request takes. The same rules as Go's golang.org/x/net/http/httpproxy, which the Coder agent follows.
import { BlockList, isIP } from "node:net";
import { attempt } from "./attempt.ts";

export interface ProxySettings {
  /** HTTPS_PROXY: for https addresses. */
  readonly https: string;
  /** HTTP_PROXY: for http addresses. */
  readonly http: string;
  readonly noProxy: string;
}

/**
 * Returns the proxy for `url`, null for a direct connection. Loopback never goes through a proxy. A proxy whose address
 * can't be read counts as none, as for the agent.
 */
export function proxyFor(url: URL, settings: ProxySettings): URL | null {
  const text = (url.protocol === "https:" ? settings.https : settings.http).trim();
  if (text === "" || !mayProxy(url, settings.noProxy)) return null;
  return attempt(() => {
    const proxy = new URL(/^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`);
    decodeURIComponent(proxy.username + proxy.password);
    return proxy;
  }, null);
}

function mayProxy(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || isLoopback(host)) return false;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return !noProxy
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== "" && matches(entry, host, port));
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** One entry of NO_PROXY: `*`, a network, an address, a domain (with its subdomains), `.domain` (subdomains alone). */
function matches(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  if (/^[0-9a-f.:]+\/\d+$/.test(entry)) return isInNetwork(host, entry);

  // An IPv6 address has colons of its own; only brackets set a port apart from it.
  const { name, portOnly } = isIP(entry) === 6 ? { name: entry, portOnly: "" } : splitPort(entry);
  if (portOnly !== "" && portOnly !== port) return false;
  if (isIP(host) !== 0) return name === host;
  const domain = name.replace(/^\*?\./, "");
  return host.endsWith(`.${domain}`) || (host === domain && name === domain);
}

function splitPort(entry: string): { name: string; portOnly: string } {
  const match = /^\[?(.*?)\]?(?::(\d*))?$/.exec(entry);
  return { name: match?.[1] ?? entry, portOnly: match?.[2] ?? "" };
}

function isInNetwork(host: string, network: string): boolean {
  const [address, prefix] = network.split("/") as [string, string];
  const family = isIP(host);
  if (family === 0 || family !== isIP(address)) return false;
  const type = family === 6 ? "ipv6" : "ipv4";
  const list = new BlockList();
  // A prefix that is too long matches nothing.
  attempt(() => list.addSubnet(address, Number(prefix), type), undefined);
  return list.check(host, type);
}
