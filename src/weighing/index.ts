export { type Weighing, type WeighOptions, weigh } from './weigh.js';
