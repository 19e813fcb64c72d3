import type { AutomationDescription } from '../client/index.js';
import type { StepStatus } from '../protocol/automation.js';
import { approvalLines, automationPicture, headLine } from './automation-text.js';
import { stepTree } from './automation-tree.js';
import type { CliIo } from './command.js';
import { outageNews } from './outage-news.js';
import { Redrawing } from './terminal.js';

/** Pause between lines of progress where nobody watches a tree (milliseconds). */
const LINE_INTERVAL_MS = 10_000;

/** Shows an automation on stderr: a live tree where a person looks, else a line for what has changed; JSON with `--json`. */
export class AutomationDisplay {
  private last: AutomationDescription | undefined;
  private lastHeadMs = Number.NEGATIVE_INFINITY;
  private readonly tree: Redrawing;

  constructor(
    private readonly stderr: CliIo['stderr'],
    private readonly options: { isJson: boolean; program: string; now?: () => number },
  ) {
    this.tree = new Redrawing(stderr);
  }

  update(description: AutomationDescription): void {
    const before = this.last;
    this.last = description;
    const nowMs = this.options.now?.() ?? Date.now();
    const { isJson, program } = this.options;
    if (isJson) {
      const line = JSON.stringify(description);
      if (line !== JSON.stringify(before)) this.stderr.write(`${line}\n`);
      return;
    }
    if (this.stderr.isTTY === true) {
      const { columns: width = 80, rows = 24 } = this.stderr;
      // The last row is the cursor's.
      return this.tree.draw(automationPicture(description, { width, height: rows - 1, nowMs, program }));
    }
    const lines = changeLines(before, description, { nowMs, program });
    if (lines.length > 0 && nowMs - this.lastHeadMs >= LINE_INTERVAL_MS) {
      lines.unshift(headLine(description, nowMs));
      this.lastHeadMs = nowMs;
    }
    for (const line of lines) this.stderr.write(`${line}\n`);
  }

  /** Leaves the tree as it stands, so that what is said next begins on a line of its own. */
  end(): void {
    this.tree.end();
  }
}

/** What has changed between two looks, a line each: an outage, steps that began or ended, approvals asked for, reasons for waiting. */
export function changeLines(
  before: AutomationDescription | undefined,
  after: AutomationDescription,
  { nowMs, program }: { nowMs: number; program: string },
): string[] {
  const known = new Map(flat(before?.live?.steps ?? []).map((step) => [step.path, step.state]));
  const steps = flat(after.live?.steps ?? []).filter(
    ({ path, state }) => state !== 'pending' && state !== 'skipped' && state !== known.get(path),
  );
  const asked = new Set(before?.live?.approvals.map(({ approvalId }) => approvalId));
  const approvals = after.live?.approvals.filter(({ approvalId }) => !asked.has(approvalId)) ?? [];
  const told = new Set(reasonsOf(before));
  const news = outageNews(before, after);
  return [
    ...(news === undefined ? [] : [`… ${news}`]),
    ...steps.flatMap(({ children: _apart, ...step }) => stepTree([step], { nowMs })),
    ...approvals.flatMap((approval) => approvalLines(approval, after, { nowMs, program })),
    ...reasonsOf(after)
      .filter((reason) => !told.has(reason))
      .map((reason) => `… ${reason}`),
  ];
}

const reasonsOf = (description: AutomationDescription | undefined): string[] =>
  description === undefined
    ? []
    : [...description.waits.map(({ reason }) => reason), description.noWorker].filter((reason) => reason !== undefined);

const flat = (steps: readonly StepStatus[]): StepStatus[] =>
  steps.flatMap((step) => [step, ...(step.children ?? []).flatMap((branch) => flat(branch.steps))]);
