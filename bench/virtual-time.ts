// A clock that jumps from one timer to the next, so that minutes of many stops take seconds.

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** Earliest first; a binary heap, since a run may hold a hundred thousand timers. */
class TimerQueue {
  private readonly heap: Timer[] = [];

  push(timer: Timer): void {
    const { heap } = this;
    let at = heap.push(timer) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(timer, heap[parent]!); parent = (at - 1) >> 1) {
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  pop(): Timer | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Runs `action` with `setTimeout` in virtual time; `now` is its clock, ms. One at a time. */
export async function inVirtualTime<T>(action: (now: () => number) => Promise<T>): Promise<T> {
  const realSetTimeout = globalThis.setTimeout;
  const queue = new TimerQueue();
  let nowMs = 0;
  let order = 0;
  const virtual = (callback: () => void, ms = 0): number => {
    order += 1;
    queue.push({ atMs: nowMs + Math.max(0, ms), order, action: callback });
    return order;
  };
  globalThis.setTimeout = virtual as unknown as typeof setTimeout;
  try {
    let done = false;
    const result = action(() => nowMs).finally(() => (done = true));
    result.catch(() => undefined); // It is awaited below.
    for (;;) {
      // All that the last timer set off runs before time goes on.
      await new Promise((resolve) => setImmediate(resolve));
      const timer = done ? undefined : queue.pop();
      if (timer === undefined) return await result;
      nowMs = timer.atMs;
      timer.action();
    }
  } finally {
    globalThis.setTimeout = realSetTimeout;
  }
}
