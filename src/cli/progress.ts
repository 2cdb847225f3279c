import type { Event } from '../events.js';
import { controlText } from './control-text.js';
import type { EventSink } from './events.js';
import { printable } from './printable.js';
import { formatDuration, formatPercent } from './quantities.js';
import { deedText } from './wave-deed.js';

/** Where progress is drawn: standard error, or a test's own. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

type ProgressEvent = Extract<Event, { type: 'progress' }>;
type WaveEvent = Extract<Event, { type: 'wave' }>;

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * Draws progress for people: on a terminal one line that is rewritten, elsewhere a line for each thing that ends (the
 * dense baseline, a wave, the publication), so that a log stays short. Notices are shown once each.
 */
export function progressLines(stream: ProgressStream, now: () => number = Date.now): EventSink {
  const live = stream.isTTY === true;
  const seen = new Set<string>();
  let standing = '';
  let started = { stage: '', at: 0, done: 0 };
  let drawnAt = Number.NEGATIVE_INFINITY;

  const clear = (): void => {
    if (live && Number.isFinite(drawnAt)) stream.write(CLEAR_LINE);
    drawnAt = Number.NEGATIVE_INFINITY;
  };
  const say = (text: string): void => {
    clear();
    stream.write(`${printable(text)}\n`);
  };
  const draw = (event: ProgressEvent): void => {
    if (event.stage !== started.stage || event.done < started.done)
      started = { stage: event.stage, at: now(), done: event.done };
    if (!live || now() - drawnAt < REDRAW_MS) return;
    const line = [standing, stageText(event, (now() - started.at) / 1000, started.done)].filter(Boolean).join('  ');
    stream.write(`${CLEAR_LINE}${line.slice(0, (stream.columns ?? 80) - 1)}`);
    drawnAt = now();
  };

  return {
    report: (event) => {
      if (event.type === 'progress') return draw(event);
      if (event.type === 'notice') {
        if (!seen.has(event.message)) say(`Note: ${event.message}`);
        seen.add(event.message);
        return;
      }
      if (event.type === 'wave') {
        standing = `wave ${event.wave + 1}  ${deedText(event)}`;
        return say(waveText(event));
      }
      if (event.type === 'control') return say(controlText(event));
      if (event.type === 'baseline') return say(`dense    ${figuresText(event.figures)}`);
      say(`published ${event.path}`);
    },
    close: clear,
  };
}

function stageText({ stage, done, total, unit }: ProgressEvent, seconds: number, doneAtStart: number): string {
  const counted = unit === 'bytes' ? formatPercent(total > 0 ? done / total : 1, 0) : `${done}/${total} ${unit}`;
  const rate = (done - doneAtStart) / seconds;
  // A rate from the first half second is noise.
  const left = seconds > 0.5 && rate > 0 && done < total ? `  ${formatDuration((total - done) / rate)} left` : '';
  return `${stage} ${counted}${left}`;
}

function waveText(event: WaveEvent): string {
  const { wave, verdict, figures, reason } = event;
  const verdictText = verdict === 'committed' ? 'kept' : 'rolled back';
  return `wave ${String(wave).padEnd(3)} ${deedText(event)}  ${figuresText(figures)}  ${verdictText}: ${reason}`;
}

/** The figures that a line has room for, in the way the table of waves shows them; intervals are in the table's JSON. */
function figuresText({ accuracy, perplexity }: Readonly<Record<string, number>>): string {
  return [
    ...(accuracy === undefined ? [] : [`accuracy ${formatPercent(accuracy, 2)}`]),
    ...(perplexity === undefined ? [] : [`perplexity ${perplexity.toFixed(2)}`]),
  ].join('  ');
}
