// The numbers of one run, and their table.
import type { Outcome } from "./fleet.ts";

export interface Arrival {
  readonly atMs: number;
  readonly passed: boolean;
}

export interface Row {
  readonly run: string;
  readonly stops: number;
  readonly delivered: number;
  readonly requests: number;
  /** How many of them were answered with 429. */
  readonly refused: number;
  readonly p50: string;
  readonly p95: string;
  readonly max: string;
  /** Most requests within any second. */
  readonly peak: number;
}

export function rowOf(
  run: string,
  outcomes: readonly Pick<Outcome, "seconds">[],
  delivered: number,
  arrivals: readonly Arrival[],
): Row {
  const seconds = outcomes.map((outcome) => outcome.seconds).sort((a, b) => a - b);
  const quantile = (share: number): string =>
    (seconds[Math.ceil(seconds.length * share) - 1] ?? 0).toFixed(1);
  return {
    run,
    stops: outcomes.length,
    delivered,
    requests: arrivals.length,
    refused: arrivals.filter(({ passed }) => !passed).length,
    p50: quantile(0.5),
    p95: quantile(0.95),
    max: quantile(1),
    peak: peakPerSecond(arrivals.map(({ atMs }) => atMs)),
  };
}

function peakPerSecond(times: readonly number[]): number {
  let first = 0;
  let peak = 0;
  times.forEach((atMs, index) => {
    while (times[first]! <= atMs - 1000) first += 1;
    peak = Math.max(peak, index - first + 1);
  });
  return peak;
}

export function printTable(rows: readonly Row[]): void {
  const names = ["run", "stops", "delivered", "requests", "refused", "p50", "p95", "max", "peak"] as const;
  const cells = [[...names], ...rows.map((row) => names.map((name) => String(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  for (const line of cells) {
    console.log(
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
    );
  }
}
