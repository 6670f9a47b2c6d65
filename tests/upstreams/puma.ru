# The upstream of tests/tests/peers/field, on Rack.
# Puma reads certificates with it, and does not ask for it.
require 'openssl'
require 'zlib'

BIG = '0123456789' * 300_000
PACKED = Zlib.gzip(BIG)

# Piece after piece, with time between them.
class Slowly
  def each
    ['one ', 'two ', "three\n"].each { |piece| yield(piece) && sleep(0.03) }
  end
end

def answer(status, body, fields = {})
  [status, { 'Content-Length' => body.bytesize.to_s }.merge(fields), [body]]
end

run(lambda do |env|
  case env['PATH_INFO']
  when '/hello' then answer(200, "hello\n")
  when '/echo' then answer(200, env['rack.input'].read, 'X-Method' => env['REQUEST_METHOD'])
  when '/many' then answer(200, '', 'X-Count' => env.keys.count { |name| name.start_with?('HTTP_X_MANY_') }.to_s)
  when '/empty' then [204, { 'X-Told' => 'empty' }, []]
  when '/same' then [304, { 'ETag' => '"1"' }, []]
  when '/moved' then answer(302, '', 'Location' => '/hello')
  when '/cookies' then answer(200, "cookies\n", 'Set-Cookie' => "a=1\nb=2; Path=/")
  when '/gzip' then answer(200, PACKED, 'Content-Encoding' => 'gzip')
  when '/fields' then answer(200, "fields\n", (0...60).to_h { |at| ["X-Field-#{at}", 'v' * 100] })
  when '/chunked' then [200, {}, Slowly.new]
  when '/large' then answer(200, BIG)
  when '/close' then answer(200, "close\n", 'Connection' => 'close')
  when '/early'
    env['rack.early_hints']&.call('Link' => '</style.css>; rel=preload')
    answer(200, "early\n")
  when '/refuse' then answer(413, "too big\n")
  else answer(404, '')
  end
end)
