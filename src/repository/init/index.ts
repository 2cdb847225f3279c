export { type InitOptions, type InitResult, initRepository } from './init.js';
