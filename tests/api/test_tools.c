/* Languages and tools under the system calls that we allow: what people run works, unchanged. */
#include "tests/test.h"

#include <string.h>

#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/tools.h"

/* A program written by a here-document, and how it is run. */
#define FILE_AND_RUN(name, text, run) "cat >" name " <<'END'\n" text "END\n" run

static const char c_threads[] = FILE_AND_RUN("t.c",
                                             "#include <pthread.h>\n"
                                             "#include <stdio.h>\n"
                                             "#include <stdlib.h>\n"
                                             "static void *f(void *a) { return a; }\n"
                                             "int main(void) {\n"
                                             "    pthread_t t[4]; void *r; long sum = 0;\n"
                                             "    for (long i = 0; i < 4; i++)\n"
                                             "        pthread_create(&t[i], NULL, f, (void *)i);\n"
                                             "    for (int i = 0; i < 4; i++) {\n"
                                             "        pthread_join(t[i], &r); sum += (long)r; }\n"
                                             "    printf(\"%ld %d\\n\", sum, system(\"true\"));\n"
                                             "}\n",
                                             "gcc -O2 -pthread -o t t.c && ./t");

static const char python[] =
    FILE_AND_RUN("t.py",
                 "import asyncio, concurrent.futures as cf, multiprocessing as mp\n"
                 "import os, socket, subprocess, tempfile, threading\n"
                 "def square(n):\n"
                 "    return n * n\n"
                 "async def served():\n"
                 "    async def answer(r, w):\n"
                 "        w.write(await r.readline()); await w.drain(); w.close()\n"
                 "    server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
                 "    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
                 "    w.write(b'echo\\n')\n"
                 "    return (await r.readline()).decode().strip()\n"
                 "if __name__ == '__main__':\n"
                 "    print(subprocess.check_output(['sh', '-c', 'echo sub']).decode().strip())\n"
                 "    with mp.Pool(2) as pool:\n"
                 "        print(pool.map(square, [1, 2, 3]))\n"
                 "    with cf.ThreadPoolExecutor() as pool:\n"
                 "        print(list(pool.map(square, [4])))\n"
                 "    print(asyncio.run(served()))\n"
                 "    with tempfile.TemporaryDirectory() as d:\n"
                 "        os.mkfifo(os.path.join(d, 'fifo'))\n"
                 "    print(mp.Value('i', 7).value)\n",
                 "python3 t.py");

static const char node[] =
    FILE_AND_RUN("t.js",
                 "const {Worker, isMainThread, parentPort} = require('worker_threads');\n"
                 "const fs = require('fs'), cp = require('child_process'), net = require('net');\n"
                 "if (!isMainThread) { parentPort.postMessage('worker'); return; }\n"
                 "new Worker(__filename).on('message', m => {\n"
                 "  console.log(m);\n"
                 "  console.log(cp.execFileSync('sh', ['-c', 'echo child']).toString().trim());\n"
                 "  fs.mkdirSync('watched', {recursive: true});\n"
                 "  const w = fs.watch('watched', () => {\n"
                 "    w.close(); console.log('watched');\n"
                 "    const s = net.createServer(c => c.end('net')).listen(0, '127.0.0.1', () =>\n"
                 "      net.connect(s.address().port, '127.0.0.1').on('data', d => {\n"
                 "        console.log(d.toString()); s.close(); }));\n"
                 "  });\n"
                 "  fs.writeFileSync('watched/x' + process.pid, '');\n"
                 "});\n",
                 "node t.js");

static const char git[] = "git config --global user.name a && git config --global user.email a@b &&"
                          "rm -rf r c && git init -q r && cd r && echo 1 >f && git add f &&"
                          "git commit -qm first && git gc -q && cd .. && git clone -q r c &&"
                          "git -C c log --format=%s && cat c/f";

static void
assert_works(const char *command, const char *expected)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:s}", "command", command, "template",
                             TOOLS, "tier", "Standard", "agent_id", "tools", "session_id", "s");

    assert_status(&r, 200);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("expected '%s' of %s", expected, r.body);
    reply_done(&r);
}

static void
gcc_compiles_what_has_threads(void **state)
{
    (void)state;
    assert_works(c_threads, "6 0\n");
}

static void
python_has_processes_threads_and_sockets(void **state)
{
    (void)state;
    assert_works(python, "sub\n[1, 4, 9]\n[16]\necho\n7\n");
}

static void
node_has_workers_children_watches_and_sockets(void **state)
{
    (void)state;
    assert_works(node, "worker\nchild\nwatched\nnet\n");
}

static void
git_commits_and_clones(void **state)
{
    (void)state;
    assert_works(git, "first\n1\n");
}

/* A debugger traces what is its own user's. */
static void
strace_traces_its_own(void **state)
{
    (void)state;
    assert_works("strace -f -o trace -e trace=execve sh -c 'true' && grep -c execve trace", "1\n");
}

static int
open_group(void **state)
{
    (void)state;
    tools_make();
    return 0;
}

int
suite_tools(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcc_compiles_what_has_threads),
        cmocka_unit_test(python_has_processes_threads_and_sockets),
        cmocka_unit_test(node_has_workers_children_watches_and_sockets),
        cmocka_unit_test(git_commits_and_clones),
        cmocka_unit_test(strace_traces_its_own),
    };

    return cmocka_run_group_tests_name("tools", tests, open_group, remove_containers);
}
