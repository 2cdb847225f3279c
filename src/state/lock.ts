import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { makeFolder, writing } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { RunStatus } from './run-status.js';

/** Who has a state folder. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Differs between boots, so that a pid from before a restart is never taken for a live one. */
  readonly boot: string;
  /** The process's start in clock ticks since boot; a reused pid has another. */
  readonly started: string;
  /** Of a run: what it is at, for people. */
  readonly status?: RunStatus;
}

/** What holding a state folder gives. Calling it gives the folder back. */
export interface Lock {
  (): Promise<void>;
  /** The name of the lock's file: what requests to its holder go by, and no other process ever has. */
  readonly token: string;
  /** Says what the holder is at; whoever reads the lock sees it, and it goes with the lock. */
  readonly tell: (status: RunStatus) => Promise<void>;
}

const NAME = /^lock\.[0-9a-f]+$/;
const ATTEMPTS = 10;
/** Longest pause between attempts; contenders that met draw different ones. */
const PAUSE_MILLISECONDS = 50;

/**
 * Takes the state folder for this process, or throws `usage` naming the process that has it.
 *
 * Every contender puts down a file of its own name, then looks whether another live one is there, and takes its own back if
 * so. Of two contenders the one that looks later sees the other, so never do two of them hold it; and as no two files share
 * a name, removing what a killed process left can never hit a live lock. A holder counts as alive when pid, start time and
 * boot all match.
 *
 * @returns a function that gives the folder back. All of them throw `unwritable` for what the system does not let them do.
 */
export async function lock(stateFolder: string): Promise<Lock> {
  await makeFolder(stateFolder);
  const mine = path.join(stateFolder, `lock.${randomBytes(8).toString('hex')}`);
  const holder: Holder = {
    host: hostname(),
    pid: process.pid,
    boot: await bootId(),
    started: (await startOf(process.pid)) ?? '',
  };
  let other: Holder | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await writeHolder(mine, holder);
    other = await anotherAlive(stateFolder, path.basename(mine));
    if (other === undefined) return lockAt(mine, holder);
    await rm(mine, { force: true });
    await setTimeout(PAUSE_MILLISECONDS * Math.random());
  }
  throw busy(stateFolder, other);
}

async function writeHolder(file: string, holder: Holder): Promise<void> {
  await writing(file, async () => {
    await writeFile(`${file}.new`, JSON.stringify(holder));
    // The name appears with its content: nobody ever reads half of a lock.
    await rename(`${file}.new`, file);
  });
}

function lockAt(file: string, holder: Holder): Lock {
  // One write after the other, and none after the end, which would bring the lock back.
  let last: Promise<void> = Promise.resolve();
  let isOver = false;
  const tell = (status: RunStatus): Promise<void> => {
    if (isOver) return Promise.resolve();
    const write = last.then(() => writeHolder(file, { ...holder, status }));
    last = write.catch(() => {});
    return write;
  };
  const release = async (): Promise<void> => {
    isOver = true;
    await last;
    await writing(file, () => rm(file, { force: true }));
  };
  return Object.assign(release, { token: path.basename(file), tell });
}

/** The live process that has a state folder, and the token of its lock; undefined when nobody has it. Reads only. */
export async function holderOf(stateFolder: string): Promise<(Holder & Pick<Lock, 'token'>) | undefined> {
  const names = existsSync(stateFolder) ? await readdir(stateFolder) : [];
  for (const token of names.filter((name) => NAME.test(name))) {
    const holder = await readHolder(path.join(stateFolder, token));
    if (holder !== undefined && (await isAlive(holder))) return { ...holder, token };
  }
  return undefined;
}

/** A live holder or contender other than `mine`; what dead ones left is removed on the way. */
async function anotherAlive(stateFolder: string, mine: string): Promise<Holder | undefined> {
  let alive: Holder | undefined;
  for (const name of await readdir(stateFolder)) {
    if (name === mine || !NAME.test(name)) continue;
    const file = path.join(stateFolder, name);
    const holder = await readHolder(file);
    if (holder !== undefined && (await isAlive(holder))) alive = holder;
    else await rm(file, { force: true });
  }
  return alive;
}

function busy(stateFolder: string, holder: Holder | undefined): BirdboneError {
  const who = holder === undefined ? '' : ` (process ${holder.pid} on ${holder.host})`;
  const elsewhere = holder !== undefined && holder.host !== hostname();
  return new BirdboneError('usage', `${stateFolder} is in use by another birdbone${who}.`, {
    suggestions: [
      'Wait until it is done, or choose another --out.',
      ...(elsewhere ? [`If that machine is no more, remove ${path.join(stateFolder, 'lock.*')}.`] : []),
    ],
  });
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const holder = JSON.parse(await readFile(file, 'utf8')) as Holder | null;
    return holder ?? undefined;
  } catch (error) {
    // Gone in the meantime, or torn by a power cut: either way nobody holds it.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  // On a shared file system, another machine's processes cannot be asked after.
  if (holder.host !== hostname()) return true;
  if (holder.boot !== (await bootId())) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = await startOf(holder.pid);
  return started === undefined || started === holder.started;
}

/** Linux only; elsewhere the pid alone decides. */
async function bootId(): Promise<string> {
  return (await readProc('/proc/sys/kernel/random/boot_id'))?.trim() ?? '';
}

/** What stands for the start of a process that has ended and that nobody has taken off the list of processes. */
const ENDED = 'ended';

/**
 * Field 22 of /proc/PID/stat (proc(5)); the command name before it may hold spaces and parentheses. A zombie (field 3) has
 * ended: in a container whose first process waits for no orphans, a killed one stays listed until the container stops.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readProc(`/proc/${pid}/stat`);
  const [state = '', ...fields] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return /^[ZX]$/.test(state) ? ENDED : fields[18];
}

async function readProc(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // ESRCH: the process ended between open and read.
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
