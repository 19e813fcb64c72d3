import type { ExchangeProgress } from '../protocol/activities.js';

/** A piece of the answer: appended to the pieces since the last restart it makes the text so far. */
export interface TextEvent {
  type: 'text';
  text: string;
  /** UTF-16 offset of `text` in the answer. */
  offset: number;
}

/** What was shown so far is not (or no longer) the answer: it begins anew. */
export interface RestartEvent {
  type: 'restart';
}

/**
 * Makes increments of the cumulative text in heartbeats.
 *
 * Promise to whoever reads them: the pieces since the last restart, joined, are the answer in the end. Heartbeats are
 * late, can repeat, and start over when another attempt sends anew; an attempt that adopts a running exchange has no text
 * of its own and takes nothing back.
 */
export class LiveText {
  private shown = '';
  private traceNumber: number | undefined;

  /** The pieces that a heartbeat adds. */
  update(progress: Pick<ExchangeProgress, 'text' | 'textOffset' | 'traceNumber'>): (TextEvent | RestartEvent)[] {
    const { text, textOffset, traceNumber } = progress;
    const events: (TextEvent | RestartEvent)[] = [];
    if (this.traceNumber !== undefined && traceNumber !== this.traceNumber) events.push(...this.restart());
    this.traceNumber = traceNumber;
    // A gap: more than a heartbeat holds came between two of them. The outcome brings the rest.
    if (textOffset > this.shown.length) return events;
    const known = this.shown.slice(textOffset);
    if (known.startsWith(text)) return events;
    if (!text.startsWith(known)) {
      if (textOffset > 0) return events;
      events.push(...this.restart());
    }
    events.push(...this.append(text.slice(this.shown.length - textOffset)));
    return events;
  }

  /** The pieces that make what was shown the answer as stored. */
  finish(answer: string): (TextEvent | RestartEvent)[] {
    const events = answer.startsWith(this.shown) ? [] : this.restart();
    return [...events, ...this.append(answer.slice(this.shown.length))];
  }

  private restart(): RestartEvent[] {
    if (this.shown === '') return [];
    this.shown = '';
    return [{ type: 'restart' }];
  }

  private append(text: string): TextEvent[] {
    if (text === '') return [];
    const offset = this.shown.length;
    this.shown += text;
    return [{ type: 'text', text, offset }];
  }
}
