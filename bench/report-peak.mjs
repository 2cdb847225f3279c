// Loaded into a measured program (NODE_OPTIONS=--import): at its end, writes its peak resident memory in bytes, and
// the seconds of CPU time of all its threads, to $PEAK_FILE.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  // VmHWM starts at 0 with each program, unlike getrusage's maximum, which an exec inherits.
  const kilobytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const { user, system } = process.cpuUsage();
  writeFileSync(process.env.PEAK_FILE, `${1024 * kilobytes} ${(user + system) / 1e6}`);
});
