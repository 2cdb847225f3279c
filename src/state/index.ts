export type { WaveChange } from './affected.js';
export { type CheckOptions, checkState, type StateCheck, type StateFinding } from './check.js';
export type { ControlAction, ControlRecord } from './control-record.js';
export { type CollectOptions, collectGarbage, type Garbage } from './gc.js';
export {
  type BaselineRecord,
  type BeginRecord,
  type DecisionRecord,
  type DiffFiles,
  type History,
  historyAt,
  historyOf,
  isWhole,
  nextWave,
  type StateMeasurement,
  type Tag,
} from './history.js';
export { Journal, type JournalBody, type JournalRecord } from './journal.js';
export { discardLayer, requireLayers, verifyLayers } from './layers.js';
export { holderOf, type Lock, lock } from './lock.js';
export { refuseForeignFiles } from './own-files.js';
export { forgetProgress, type ProgressPlace, progressPlace } from './progress.js';
export { manifestDigest, type Publication, publish, settlePublication } from './publish.js';
export {
  type ControlRequest,
  hasRequest,
  leaveRequest,
  staleRequests,
  takeRequest,
} from './requests.js';
export { checkRoom, freeBytes } from './room.js';
export { type RunStatus, runStatusIn } from './run-status.js';
export { objectFile, type StateFolder, stateFolder } from './state-folder.js';
export type {
  BlockMonitor,
  Effectiveness,
  EmergencyStop,
  FileDigest,
  ForetoldDamage,
  GateTermRecord,
  PlatesJson,
  SelectiveRollback,
  Warning,
  WaveJournalRecord,
} from './wave-record.js';
export { moved, sameState, stateAfter, type TensorAtWave, type WaveState, waveOf } from './wave-state.js';
