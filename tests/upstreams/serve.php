<?php
// The upstream of tests/tests/peers/field, on the web server of PHP.
$path = $_SERVER['REQUEST_URI'];
$body = file_get_contents('php://input');
$big = str_repeat('0123456789', 300000);
$answer = function (int $status, array $fields, string $text): void {
    http_response_code($status);
    foreach ($fields as $field) header($field, false);
    header('Content-Length: ' . strlen($text));
    echo $text;
};
switch ($path) {
    case '/hello': $answer(200, [], "hello\n"); break;
    case '/echo': $answer(200, ["X-Method: $_SERVER[REQUEST_METHOD]"], $body); break;
    case '/many':
        $names = array_filter(array_keys($_SERVER), fn($name) => str_starts_with($name, 'HTTP_X_MANY_'));
        $answer(200, ['X-Count: ' . count($names)], '');
        break;
    case '/empty': http_response_code(204); header('X-Told: empty'); break;
    case '/same': http_response_code(304); header('ETag: "1"'); break;
    case '/moved': $answer(302, ['Location: /hello'], ''); break;
    case '/cookies': $answer(200, ['Set-Cookie: a=1', 'Set-Cookie: b=2; Path=/'], "cookies\n"); break;
    case '/gzip': $answer(200, ['Content-Encoding: gzip'], gzencode($big)); break;
    case '/fields':
        for ($at = 0; $at < 60; $at++) header("X-Field-$at: " . str_repeat('v', 100));
        $answer(200, [], "fields\n");
        break;
    // No length: its end is the connection's.
    case '/chunked': foreach (['one ', 'two ', "three\n"] as $piece) { echo $piece; flush(); usleep(30000); } break;
    case '/large': $answer(200, [], $big); break;
    case '/close': $answer(200, [], "close\n"); break;
    case '/refuse': $answer(413, [], "too big\n"); break;
    default: http_response_code(404);
}
