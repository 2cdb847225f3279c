import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BirdboneError } from '../errors.js';

interface Holder {
  readonly pid: number;
  /** Differs between boots, so that a pid from before a restart is never taken for a live one. */
  readonly boot: string;
  /** The process's start in clock ticks since boot; a reused pid has another. */
  readonly started: string;
}

/**
 * Takes the state folder for this process, or throws `usage` naming the process that has it. A lock that a killed process
 * left is taken over: pid, start time and boot must all match for a holder to count as alive.
 *
 * @returns a function that gives the folder back.
 */
export async function lock(stateFolder: string): Promise<() => Promise<void>> {
  await mkdir(stateFolder, { recursive: true });
  const file = path.join(stateFolder, 'lock');
  const mine = `${file}.${randomBytes(6).toString('hex')}`;
  const holder: Holder = { pid: process.pid, boot: await bootId(), started: (await startOf(process.pid)) ?? '' };
  await writeFile(mine, JSON.stringify(holder));
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        // link() fails when the name exists, on every file system, and the name appears with its content.
        await link(mine, file);
        return () => rm(file, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const other = await readHolder(file);
      if (other !== undefined && (await isAlive(other))) throw busy(stateFolder, other.pid);
      await removeStale(file, other, `${mine}.stale`);
    }
    throw busy(stateFolder, undefined);
  } finally {
    await rm(mine, { force: true });
  }
}

/**
 * Removes the lock that `stale` held. Another process may have done so and taken the lock since it was read: what is removed is
 * looked at under a name of its own, and put back when it is not what was found stale.
 */
async function removeStale(file: string, stale: Holder | undefined, aside: string): Promise<void> {
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const removed = await readHolder(aside);
  if (JSON.stringify(removed) !== JSON.stringify(stale)) await link(aside, file);
  await rm(aside, { force: true });
}

function busy(stateFolder: string, pid: number | undefined): BirdboneError {
  return new BirdboneError(
    'usage',
    `${stateFolder} is in use by another birdbone${pid === undefined ? '' : ` (process ${pid})`}.`,
    {
      suggestions: ['Wait until it is done, or choose another --out.'],
    },
  );
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch (error) {
    // Gone in the meantime, or torn by a power cut: either way nobody holds it.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
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

/** Field 22 of /proc/PID/stat (proc(5)); the command name before it may hold spaces and parentheses. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readProc(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
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
