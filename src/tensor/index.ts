export { decodeInto, decodeToF32 } from './decode.js';
export type { Device, DeviceChoice, DeviceName, DoubleMatrix, DoubleProducts } from './device.js';
export {
  type BlockDtype,
  DTYPES,
  type Dtype,
  ELEMENT_DTYPES,
  type ElementDtype,
  isBlockDtype,
  isDtype,
} from './dtype.js';
export { encodeFromF32 } from './encode.js';
export { freeMemory } from './free-memory.js';
export { enableGradients } from './gradients.js';
export { type HostMatrix, multiplyOnDevice } from './host-product.js';
export { disposeMatrix, type Matrix, uploadMatrix, uploadStored } from './matrix.js';
export { availableDevices, openDevice } from './open-device.js';
export { type ActivationKind, activate, activateGated } from './ops/activation.js';
export { causalAttention } from './ops/causal-attention.js';
export { columnSquares } from './ops/column-squares.js';
export { type BlockStep, ColumnSweep, SWEEP_BLOCK_COLUMNS } from './ops/column-sweep.js';
export { canMaskOnDevice, type GroupRule, maskOnDevice } from './ops/device-mask.js';
export { canEncodeQ4k, encodeQ4k } from './ops/encode-q4k.js';
export { gram } from './ops/gram.js';
export { layerNorm } from './ops/layer-norm.js';
export { linear } from './ops/linear.js';
export { logitDivergence, logitStatistics } from './ops/logit-statistics.js';
export {
  compareNextTokens,
  type HiddenAndHead,
  NextTokenComparer,
  type NextTokenComparison,
  NextTokenScorer,
  type NextTokenScores,
  scoreNextTokens,
} from './ops/next-tokens.js';
export { rmsNorm } from './ops/rms-norm.js';
export { rotary } from './ops/rotary.js';
export { type InputRounding, roundRows, roundToE4m3, throughE4m3 } from './ops/round-inputs.js';
export { type Int8Weight, int8Linear, roundedLinear } from './ops/rounded-linear.js';
export { RunningSums } from './ops/running-sums.js';
export { softcap } from './ops/softcap.js';
export { multiplyStored, type StoredProductOptions, type StoredRows } from './ops/stored-product.js';
export { swiglu } from './ops/swiglu.js';
export { canUnpackGroups, type GroupedCodes, unpackGroups } from './ops/unpack-groups.js';
export { packHalves, type StoredFormat } from './packed-weights.js';
export { fittingPrefix, ResidentRoom } from './resident-room.js';
export { showValues } from './show-values.js';
export { measureMatMul } from './throughput.js';
export { type Memory, makeRoom, openKernel } from './wasm-kernel.js';
export { type WidenKernel, widenKernel } from './widen.js';
export { countZeros } from './zeros.js';
