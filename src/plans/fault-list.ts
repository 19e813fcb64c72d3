import { suggestKey } from '../checks/misspelt-keys.js';
import type { PlanFault, PlanPlace } from './plan-faults.js';
import { pathText, type PlanPath } from './plan-path.js';
import type { Place, PlanSource } from './plan-source.js';

/** Where in a file something is to be told, beside its path. */
export interface FaultPlace {
  /** At its key instead of its value. */
  atKey?: boolean;
  /** At this character of its text. */
  index?: number;
  /** At this offset of the file. */
  offset?: number;
  suggestion?: string;
  /** All places with this message are one fault: a name that means nothing, wherever it is used. */
  isOneFault?: boolean;
}

/** Gathers what is found in a file. */
export class FaultList {
  readonly faults: PlanFault[] = [];
  readonly warnings: PlanFault[] = [];
  readonly #told = new Set<string>();
  /** Those of `isOneFault`, by their message. */
  readonly #oneFaults = new Map<string, PlanFault>();

  constructor(readonly source: PlanSource) {}

  fault(path: PlanPath, message: string, place: FaultPlace = {}): void {
    this.#add(this.faults, path, message, place);
  }

  warn(path: PlanPath, message: string, place: FaultPlace = {}): void {
    this.#add(this.warnings, path, message, place);
  }

  #add(list: PlanFault[], path: PlanPath, message: string, place: FaultPlace): void {
    const { suggestion, isOneFault, index, offset } = place;
    const text = pathText(path);
    // One place may be looked at twice, as an anchor and where it is used.
    const key = JSON.stringify(isOneFault === true ? [text, message, index, offset] : [text, message]);
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const at = { path: text, ...this.#placeOf(path, place) };
    const first = isOneFault === true ? this.#oneFaults.get(message) : undefined;
    if (first !== undefined) {
      (first.others ??= []).push(at);
      return;
    }
    const fault: PlanFault = { ...at, message, ...(suggestion !== undefined && { suggestion }) };
    if (isOneFault === true) this.#oneFaults.set(message, fault);
    list.push(fault);
  }

  #placeOf(path: PlanPath, { atKey, index, offset }: FaultPlace): Place {
    if (offset !== undefined) return this.source.placeAt(offset);
    if (index !== undefined) return this.source.placeIn(path, index);
    return atKey === true ? this.source.placeOfKey(path) : this.source.place(path);
  }
}

/** In the order of the file, each at the first of its places. */
export const inOrder = (faults: readonly PlanFault[]): PlanFault[] => faults.map(atFirstPlace).sort(byPlace);

function atFirstPlace(fault: PlanFault): PlanFault {
  if (fault.others === undefined) return fault;
  const { path, line, column } = fault;
  const [first, ...others] = [{ path, line, column }, ...fault.others].sort(byPlace);
  return { ...fault, ...first, others };
}

const byPlace = (a: PlanPlace, b: PlanPlace): number => a.line - b.line || a.column - b.column;

/** Words among which one is looked for: a file of thousands of wrong ones must not take minutes. */
const MOST_COMPARED = 500;

/** The known word that was probably meant; of short words only one that begins alike. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const found = suggestKey(word, known.slice(0, MOST_COMPARED));
  if (found === undefined || word.length > 3 || word[0]?.toLowerCase() === found[0]?.toLowerCase()) return found;
  return undefined;
}

/** `did you mean "x"?`, or `otherwise` when nothing is near. */
export function didYouMean(
  word: string,
  known: readonly string[],
  otherwise: string,
): { text: string; suggestion?: string } {
  const suggestion = nearest(word, known);
  return suggestion === undefined ? { text: otherwise } : { text: `did you mean "${suggestion}"?`, suggestion };
}

/** `a, b and c`, at most ten of them. */
export function listOf(words: readonly string[], joint = 'and'): string {
  const shown = words.length > 10 ? [...words.slice(0, 10), '…'] : words;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} ${joint} ${shown.at(-1)}`;
}
