/**
 * Prints which test files took longest and `N passed, N failed, N skipped`, from the JSON report of a vitest run, and fails when a test
 * failed or none ran.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

const SLOWEST = 20;

const [file = ''] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
if (text === '') {
  console.error('The tests left no report: they did not run to their end.');
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
const report = JSON.parse(text);
// A file that cannot be loaded has no tests that could fail.
const brokenFiles = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
);
for (const { name, message } of brokenFiles) console.error(`${name}: ${message}`);
const slowest = report.testResults
  .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1000 }))
  .sort((a, b) => b.seconds - a.seconds)
  .slice(0, SLOWEST);
console.log('The slowest test files, in seconds:');
for (const { name, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)}  ${path.relative('.', name)}`);
const failed = report.numFailedTests + brokenFiles.length;
console.log(
  `${report.numPassedTests} passed, ${failed} failed, ${report.numPendingTests + report.numTodoTests} skipped`,
);
if (failed > 0 || report.numPassedTests === 0) process.exit(1);
