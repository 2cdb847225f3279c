import { createHash } from 'node:crypto';
import { open, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder, writeFileDurably, writing } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';

/** What a record says, without the fields that the journal adds. */
export interface JournalBody {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface JournalRecord extends JournalBody {
  /** 1, 2, 3 … */
  readonly seq: number;
  /** When it was written, ISO 8601; for people, never read back. */
  readonly at: string;
  /** sha256 over the previous record's digest and this record without its digest, 16 hex digits. */
  readonly digest: string;
}

/**
 * An append-only file of JSON lines, each chained to the one before by a digest and on disk before `append` returns.
 * A line that a crash tore off in the middle is the last one and is dropped when the journal is opened; anything else
 * that does not verify is an error, for a journal decides what is kept and must not be guessed at.
 */
export class Journal {
  readonly #file: string;
  readonly #records: JournalRecord[];
  /** What follows the last whole line. */
  readonly #torn: string;

  private constructor(file: string, records: JournalRecord[], torn = '') {
    this.#file = file;
    this.#records = records;
    this.#torn = torn;
  }

  /**
   * Opens the journal at `file`, empty if there is none. `repair` cuts off a torn last line on disk, and throws `unreadable` where
   * it is none (`refuseHiddenRecord`); readers leave it.
   */
  static async open(file: string, options: { readonly repair: boolean }): Promise<Journal> {
    let bytes: Buffer;
    try {
      bytes = await readFile(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Journal(file, []);
      throw error;
    }
    const whole = bytes.lastIndexOf(0x0a) + 1;
    const torn = bytes.subarray(whole).toString('utf8');
    const journal = new Journal(file, parse(bytes.subarray(0, whole).toString('utf8'), file), torn);
    if (whole < bytes.length && options.repair) {
      // Cutting a record off that was kept would lose a wave or a tag, and let gc remove what it needs.
      journal.refuseHiddenRecord();
      await writing(file, () => truncate(file, whole));
    }
    return journal;
  }

  /** A journal without records, whatever lies at `file`: for deciding about what could not be read. */
  static empty(file: string): Journal {
    return new Journal(file, []);
  }

  get records(): readonly JournalRecord[] {
    return this.#records;
  }

  /**
   * Throws `unreadable` when what looks like a line that a crash tore off is a whole record and one more character: no crash
   * leaves that, so its line end is damaged, and opening the journal has passed over the record.
   */
  readonly refuseHiddenRecord = (): void => {
    const where = { file: this.#file, lineNumber: this.#records.length + 1 };
    try {
      check(this.#torn.slice(0, -1), this.#records.at(-1), where);
    } catch (error) {
      if (error instanceof BirdboneError) return;
      throw error;
    }
    throw damaged(where, 'its record is whole, and does not end with the end of a line');
  };

  /**
   * Puts a journal of one record in the place of whatever is at `file`, whole or not at all: there is no moment without the one
   * or the other. Throws `unwritable`.
   */
  static async begin(file: string, body: JournalBody): Promise<Journal> {
    const record = recordOf(body, undefined);
    await writeFileDurably(file, `${JSON.stringify(record)}\n`);
    return new Journal(file, [record]);
  }

  /** Writes one record; it is on disk when this returns. Throws `unwritable`. */
  async append(body: JournalBody): Promise<JournalRecord> {
    const last = this.#records.at(-1);
    const record = recordOf(body, last);
    await writing(this.#file, async () => {
      const handle = await open(this.#file, 'a');
      try {
        await handle.appendFile(`${JSON.stringify(record)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
    if (last === undefined) await syncFolder(path.dirname(this.#file));
    this.#records.push(record);
    return record;
  }
}

function recordOf(body: JournalBody, last: JournalRecord | undefined): JournalRecord {
  const unsigned = { seq: (last?.seq ?? 0) + 1, at: new Date().toISOString(), ...body };
  return { ...unsigned, digest: digestOf(last?.digest ?? '', unsigned) } as JournalRecord;
}

function digestOf(previous: string, unsigned: object): string {
  return createHash('sha256').update(previous).update(JSON.stringify(unsigned)).digest('hex').slice(0, 16);
}

function parse(text: string, file: string): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    records.push(check(line, records.at(-1), { file, lineNumber: index + 1 }));
  }
  return records;
}

function check(
  line: string,
  last: JournalRecord | undefined,
  where: { file: string; lineNumber: number },
): JournalRecord {
  let record: JournalRecord;
  try {
    record = JSON.parse(line) as JournalRecord;
  } catch (error) {
    throw damaged(where, 'it is not JSON', error);
  }
  if (typeof record !== 'object' || record === null) throw damaged(where, 'it is no record');
  const { digest, ...unsigned } = record;
  if (unsigned.seq !== (last?.seq ?? 0) + 1) throw damaged(where, `it has number ${unsigned.seq}`);
  if (digest !== digestOf(last?.digest ?? '', unsigned)) throw damaged(where, 'its digest does not match');
  return record;
}

function damaged(where: { file: string; lineNumber: number }, what: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `The journal ${where.file} is damaged at line ${where.lineNumber}: ${what}.`, {
    file: where.file,
    suggestions: [
      'Run the command again with --restart to begin anew; the published output, if any, is not touched until then.',
    ],
    cause,
  });
}
