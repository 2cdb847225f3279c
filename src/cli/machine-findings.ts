import type { FolderSpace } from './file-systems.js';
import type { Finding } from './finding.js';
import type { MachineReport } from './machine.js';
import { formatBytes } from './quantities.js';

/** The smallest model worth the name, with room for its copy. */
const LITTLE_BYTES = 10 ** 9;

interface FoundDevice {
  readonly name: string;
  readonly available: boolean;
  readonly description: string;
  readonly reason?: string;
  readonly suggestions?: readonly string[];
  readonly software?: boolean;
}

interface ChosenDevice {
  readonly name: string;
  readonly fastPaths: readonly string[];
  /** One sentence each. */
  readonly notices: readonly string[];
}

/** What there is to say of a machine: Node.js, processor, memory, and the space in each folder. */
export function machineFindings({ node, platform, cpu, memory, folders }: MachineReport): Finding[] {
  const features = cpu.features.length > 0 ? ` (${cpu.features.join(' ')})` : '';
  const vector = cpu.features.some((feature) => ['avx2', 'asimd'].includes(feature));
  const free = `${formatBytes(memory.freeBytes)} free of ${formatBytes(memory.totalBytes)}`;
  return [
    node.supported
      ? { id: 'node', status: 'ok', what: `${node.version}, ${platform}` }
      : { id: 'node', status: 'fail', what: `${node.version} is too old`, fix: 'Install Node.js 20.19 or newer.' },
    vector || cpu.features.length === 0
      ? { id: 'cpu', status: 'ok', what: `${cpu.model}, ${threadsOf(cpu.threads)}${features}` }
      : {
          id: 'cpu',
          status: 'warn',
          what: `${cpu.model} has no AVX2: matrix products are slow`,
          fix: 'Use a GPU (--device webgpu), or a processor from after 2013.',
        },
    memory.freeBytes >= LITTLE_BYTES
      ? { id: 'memory', status: 'ok', what: free }
      : { id: 'memory', status: 'warn', what: free, fix: 'End other programs, or use smaller windows: --context 128.' },
    ...folders.map(folderFinding),
  ];
}

function threadsOf(count: number): string {
  return count === 1 ? '1 thread' : `${count} threads`;
}

function folderFinding(folder: FolderSpace): Finding {
  const { use, path, totalBytes, freeBytes, type, kind, writable } = folder;
  const id = use.replace(' folder', '-folder');
  const what = `${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)} at ${path}${type === undefined ? '' : `, ${type}`}`;
  if (!writable)
    return { id, status: 'warn', what: `${path} cannot be written`, fix: `chmod u+w ${path}, or work elsewhere.` };
  if (freeBytes < LITTLE_BYTES)
    return { id, status: 'warn', what, fix: 'Free some space: a result is as large as its model.' };
  if (use === 'temporary folder' || kind === 'disk') return { id, status: 'ok', what };
  return kind === 'memory'
    ? { id, status: 'warn', what: `${what}: lost when the machine restarts`, fix: 'Work in a folder on a disk.' }
    : {
        id,
        status: 'warn',
        what: `${what}, over a network: locks and crash safety are the server's`,
        fix: 'Keep the state of runs on a local disk: --state DIR.',
      };
}

/** What there is to say of the devices to compute on, and of the one that is used. */
export function deviceFindings(devices: readonly FoundDevice[], chosen: ChosenDevice): Finding[] {
  return [
    ...devices.map((device) => deviceFinding(device, chosen)),
    ...chosen.notices.map((notice): Finding => {
      // The first sentence says what is, the others what to do.
      const [what = notice, ...rest] = notice.split(/(?<=\.) (?=[A-Z])/);
      return { id: 'speed', status: 'warn', what, fix: rest.join(' ') || `birdbone doctor --device ${chosen.name}` };
    }),
  ];
}

function deviceFinding(
  { name, available, description, reason, suggestions = [], software }: FoundDevice,
  chosen: ChosenDevice,
): Finding {
  if (!available) return { id: name, status: 'absent', what: reason ?? description, fix: suggestions[0] ?? '' };
  const used = name === chosen.name;
  const fast = used && chosen.fastPaths.length > 0 ? `; fast: ${chosen.fastPaths.join(', ')}` : '';
  if (software !== true) return { id: name, status: 'ok', what: `${description}${used ? ', in use' : ''}${fast}` };
  const fix = "Install your GPU's driver, where there is a GPU.";
  return { id: name, status: 'warn', what: `${description}, in software: slow, used only when named`, fix };
}
