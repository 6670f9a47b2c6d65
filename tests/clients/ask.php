<?php
// ask URL FILE [CA CERT KEY]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs writes them.
$identity = array_slice($argv, 3);
$curl = curl_init();
foreach (file($argv[2], FILE_IGNORE_NEW_LINES) as $line) {
    [$name, $method, $path, $upload, $how, $field] = explode(' ', $line);
    [$framing, $size] = explode(':', "$upload:0");
    $body = substr(str_repeat('0123456789', intdiv((int) $size, 10) + 1), 0, (int) $size);
    curl_reset($curl);
    // An empty Expect keeps libcurl from expecting by itself.
    $headers = [$how === 'expect' ? 'Expect: 100-continue' : 'Expect:'];
    if ($how === 'trailers') array_push($headers, 'TE: trailers', 'Connection: te');
    for ($at = 0; $how === 'many' && $at < 60; $at++) $headers[] = "X-Many-$at: " . str_repeat('v', 100);
    $values = [];
    $options = [CURLOPT_URL => $argv[1] . $path, CURLOPT_CUSTOMREQUEST => $method, CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 20, CURLOPT_NOBODY => $method === 'HEAD',
        CURLOPT_HEADERFUNCTION => function ($_, $text) use (&$values, $field) {
            if (stripos($text, "$field:") === 0) $values[] = trim(substr($text, strlen($field) + 1));
            return strlen($text);
        }];
    if ($how === 'abort') $options[CURLOPT_WRITEFUNCTION] = fn() => 0;
    if ($framing !== '-') {
        $at = 0;
        $stop = $framing === 'abort' ? intdiv(strlen($body), 2) : PHP_INT_MAX;
        $options += [CURLOPT_UPLOAD => true, CURLOPT_READFUNCTION => function ($_, $__, $most) use (&$at, $body, $stop) {
            // Anything but a string ends the transfer.
            if ($at >= $stop) return 0x10000000;
            $piece = substr($body, $at, $most);
            $at += strlen($piece);
            return $piece;
        }];
        if ($framing === 'chunked') $headers[] = 'Transfer-Encoding: chunked';
        else $options[CURLOPT_INFILESIZE] = strlen($body);
    }
    if ($identity) $options += [CURLOPT_CAINFO => $identity[0], CURLOPT_SSLCERT => $identity[1], CURLOPT_SSLKEY => $identity[2]];
    curl_setopt_array($curl, $options + [CURLOPT_HTTPHEADER => $headers]);
    $all = curl_exec($curl);
    if ($how === 'abort' || $framing === 'abort') $told = 'aborted';
    elseif ($all === false) $told = 'lost ' . curl_error($curl);
    else $told = curl_getinfo($curl, CURLINFO_RESPONSE_CODE) . ' ' . strlen($all) . ' '
        . substr(hash('sha256', $all), 0, 8) . ' ' . (implode('|', $values) ?: '-');
    echo "$name $told\n";
}
