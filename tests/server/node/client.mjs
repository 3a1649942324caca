// A small client in plain Node, from the protos alone: @grpc/grpc-js and @grpc/proto-loader, nothing of ours.
//
//   node client.mjs ADDRESS TOKEN PROTO_FOLDER... < request.json
//
// PROTO_FOLDER: the folder that has `wancore/v1`, and the one that has `google/rpc` (from googleapis).
// Lists the families, generates the video of request.json, and asks for a family that is not there. Prints
// one JSON object with what came back.
import fs from 'node:fs';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const [address, token, ...includeDirs] = process.argv.slice(2);
const options = { includeDirs, keepCase: true, enums: String, longs: String, defaults: true, oneofs: true };
const services = ['wancore/v1/catalog_service.proto', 'wancore/v1/job_service.proto'];
const definition = loader.loadSync([...services, 'google/rpc/error_details.proto'], options);
const api = grpc.loadPackageDefinition(definition);

const metadata = () => {
  const made = new grpc.Metadata();
  made.set('authorization', `Bearer ${token}`);
  made.set('wancore-client', 'node-example/1');
  return made;
};
const credentials = grpc.credentials.createInsecure();
// Node's flow-control window does not grow by itself: frames want a larger one.
const channel = { 'grpc-node.flow_control_window': 4 * 1024 * 1024 };
const catalog = new api.wancore.v1.CatalogService(address, credentials);
const jobs = new api.wancore.v1.JobService(address, credentials, channel);

const unary = (client, method, request) =>
  new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    client[method](request, metadata(), { deadline }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });

// Frames by index, each joined from its parts; the header's format; the result. A stream ends with a result
// or with an error.
async function generate(request) {
  const frames = new Map();
  let format = null;
  let result = null;
  for await (const event of jobs.Generate(request, metadata())) {
    if (event.event === 'header' && event.header.format) format = event.header.format;
    if (event.event === 'frame') {
      const { index, part, part_count: partCount, data } = event.frame;
      const parts = part === 0 ? [] : frames.get(index);
      parts.push(data);
      frames.set(index, parts);
      if (part === partCount - 1) frames.set(index, [Buffer.concat(parts)]);
    }
    if (event.event === 'result') result = event.result;
  }
  return { format, result, frames: [...frames].map(([index, [data]]) => [index, data]) };
}

// The details of an error by type: a google.rpc.Status in a trailer, each detail packed in an Any.
function details(error) {
  const read = (type, data) => definition[type].deserialize(data);
  const status = read('google.rpc.Status', error.metadata.get('grpc-status-details-bin')[0]);
  const named = status.details.map(({ type_url: url, value }) => [url.slice(url.lastIndexOf('/') + 1), value]);
  return Object.fromEntries(named.map(([type, value]) => [type, read(type, value)]));
}

const { families } = await unary(catalog, 'ListFamilies', { page_size: 100 });
const { format, result, frames } = await generate(JSON.parse(fs.readFileSync(0, 'utf8')));
let refused = null;
try {
  await unary(catalog, 'GetFamily', { name: 'families/none' });
} catch (error) {
  refused = { code: error.code, details: details(error) };
}
const shown = frames.map(([index, data]) => ({ index, size: data.length, first: [...data.subarray(0, 6)] }));
console.log(JSON.stringify({ families: families.map((f) => f.name), format, result, frames: shown, refused }));
catalog.close();
jobs.close();
