"""The terminals of Jupyter, in their own server: a shell for every connection. Prints its port."""
import asyncio

import terminado
import tornado.httpserver
import tornado.netutil
import tornado.web


async def main():
    terminals = terminado.UniqueTermManager(shell_command=["/bin/sh"])
    application = tornado.web.Application([("/terminal", terminado.TermSocket, {"term_manager": terminals})])
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
