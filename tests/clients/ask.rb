# ask URL FILE [CA CERT KEY]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs writes them.
require 'digest'
require 'net/http'
require 'openssl'
require 'stringio'

base, file, ca, cert, key = ARGV
url = URI(base)

# Ends in the middle.
class Broken < StringIO
  def read(*) = pos >= size ? raise('enough') : super
  alias readpartial read
end

def open(url, ca, cert, key)
  http = Net::HTTP.new(url.host, url.port)
  http.read_timeout = http.continue_timeout = 20
  http.max_retries = 0
  if ca
    http.use_ssl = true
    http.ca_file = ca
    http.cert = OpenSSL::X509::Certificate.new(File.read(cert))
    http.key = OpenSSL::PKey.read(File.read(key))
  end
  http.start
end

http = open(url, ca, cert, key)
File.readlines(file, chomp: true).each do |line|
  name, method, path, upload, how, field = line.split(' ')
  framing, size = upload.split(':')
  size = size.to_i
  body = ('0123456789' * (size / 10 + 1))[0, size]
  request = Net::HTTPGenericRequest.new(method, framing != '-', method != 'HEAD', path)
  case framing
  when 'length' then request.body = body
  when 'chunked' then (request['Transfer-Encoding'] = 'chunked') && request.body_stream = StringIO.new(body)
  when 'abort' then (request['Content-Length'] = size.to_s) && request.body_stream = Broken.new(body[0, size / 2])
  end
  request['Expect'] = '100-continue' if how == 'expect'
  request['Accept-Encoding'] = 'identity'
  (request['TE'] = 'trailers') && request['Connection'] = 'te' if how == 'trailers'
  60.times { |at| request["X-Many-#{at}"] = 'v' * 100 } if how == 'many'
  begin
    http = open(url, ca, cert, key) unless http.started?
    told = nil
    http.request(request) do |answer|
      if how == 'abort'
        answer.read_body { |_| raise 'enough' }
      else
        all = answer.read_body || ''
        told = "#{answer.code} #{all.bytesize} #{Digest::SHA256.hexdigest(all)[0, 8]} " \
               "#{(answer.get_fields(field) || ['-']).join('|')}"
      end
    end
    puts "#{name} #{told}"
  rescue StandardError => error
    puts "#{name} #{how == 'abort' || framing == 'abort' ? 'aborted' : "lost #{error.inspect}"}"
    http.finish if http.started?
  end
end
