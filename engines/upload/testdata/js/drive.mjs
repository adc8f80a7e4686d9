// Runs one upload with tus-js-client as the scenario on standard input says, and
// prints what happened as one line of JSON.
import { createReadStream, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { FileUrlStorage, Upload } from 'tus-js-client'

const s = JSON.parse(await text(process.stdin))
let input = s.input === 'buffer' ? readFileSync(s.file) : createReadStream(s.file)
// A stream without a path is one whose length nobody knows.
if (s.input === 'stream') input = input.pipe(new PassThrough())

const requests = []
const options = {
  endpoint: s.endpoint,
  headers: { Authorization: 'Bearer ann', ...s.headers },
  metadata: { filename: 'from-node.bin', filetype: 'application/octet-stream' },
  retryDelays: [0, 20, 50, 100, 200, 400, 800, 1000, 1000, 1000],
  onAfterResponse: (req, res) => {
    requests.push(`${req.getMethod()} ${res.getStatus()}`)
  },
  ...s.options,
}
if (s.storage) options.urlStorage = new FileUrlStorage(s.storage)

function end(result) {
  console.log(JSON.stringify({ url: upload.url, requests, ...result }))
  process.exit(0)
}

options.onSuccess = () => end({ ok: true })
options.onError = (err) => end({ error: String(err) })
options.onChunkComplete = (_size, accepted) => {
  if (s.dieAt && accepted >= s.dieAt) end({ died: true })
  if (s.terminateAt && accepted >= s.terminateAt) {
    s.terminateAt = 0
    upload.abort(true).then(() => end({ terminated: true }), (err) => end({ error: String(err) }))
  }
}

const upload = new Upload(input, options)
if (s.resume) {
  const previous = await upload.findPreviousUploads()
  if (previous.length === 0) end({ error: 'nothing to resume' })
  upload.resumeFromPreviousUpload(previous[0])
}
upload.start()
