// Loaded into a measured program (NODE_OPTIONS=--import): at its end, writes its peak resident memory in bytes to $PEAK_FILE.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  // VmHWM starts at 0 with each program, unlike getrusage's maximum, which an exec inherits.
  const kilobytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  writeFileSync(process.env.PEAK_FILE, String(1024 * kilobytes));
});
