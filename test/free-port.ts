// A TCP port that nothing uses, for servers that can't pick their own.

/** The kernel's choice; another process could take it in the moment before the server does. */
export async function freePort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Nobody serves tcpmux any more, and the kernel gives its port to nobody: a server that is not there. */
export const DEAD_PORT = 1;
